"""From a view's definition as data to a `View`, with every mistake named."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from features.ml import durations
from features.ml.definition import (
    Aggregation,
    Default,
    Feature,
    Function,
    Input,
    ResultKind,
    Sequence,
    Transform,
    View,
)
from features.ml.errors import DefinitionError, ExpressionError, shown
from features.ml.expressions import Expression, parse
from features.ml.schema import EVENT_TIME, NAME_RULE, Kind, Schema

FUNCTIONS: tuple[Function, ...] = get_args(Function)
NUMERIC_ONLY = frozenset({"sum", "mean", "std", "min", "max"})
WITHOUT_INPUT = frozenset({"count", "label_rate"})
MAX_FEATURES = 200
MAX_LENGTH = 200
MAX_STEP = 50  # numbers in one step of a sequence
MAX_DEFAULT = 200  # characters
LARGEST_DEFAULT = 1e300
_RESERVED = (EVENT_TIME, "event_id", "label", "at")  # columns of training sets beside the features
_SHAPES = ("aggregate", "expression", "sequence")
_TIME = "is a time: take a part of it, such as hour(event_time)"
_OWN = "is a feature: here only the event's own fields are read"
_SPOKEN = {
    "numeric": "a number", "boolean": "true or false", "category": "text", "sequence": "a list",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")


def compile_view(data: Any, schema: Schema) -> View:
    """Check a definition against its stream's schema. `data` holds `entity` (a name of the
    schema's entities, or null), `ttl`, `where` and `features`.

    Raises `DefinitionError` naming each wrong part.
    """
    if not isinstance(data, Mapping):
        raise DefinitionError([("definition", "must be an object")])
    return _Compiler(data, schema).view()


class _Compiler:
    """One pass over a definition that gathers every problem before it complains."""

    def __init__(self, data: Mapping[str, Any], schema: Schema) -> None:
        self._data = data
        self._schema = schema
        self._problems: list[tuple[str, str]] = []
        self._inputs: list[Input] = []
        self._kinds: dict[str, Kind] = dict(schema.kinds)  # grows by the features declared so far
        self._names: set[str] = set()  # in small letters: columns of files differ by more
        label = {schema.label: "is the label: a feature can't use it"} if schema.label else {}
        self._label: dict[str, str] = label
        self._refused = dict(label)  # what transforms must not use, with the reason
        self._entity: str | None = None
        self._ttl: int | None = None

    def view(self) -> View:
        for name in self._data.keys() - {"entity", "ttl", "where", "features"}:
            self._wrong(shown(name), "unknown key")
        self._entity = self._checked_entity()
        if self._data.get("ttl") is not None:
            self._ttl = self._duration("ttl", self._data["ttl"])
        if self._data.get("entity") is None:
            for key in {"ttl", "where"} & {k for k, v in self._data.items() if v is not None}:
                self._wrong(key, "needs the view to have an entity")
        where = self._condition("where", self._data.get("where"))
        features = self._features()
        if self._problems:
            raise DefinitionError(self._problems)
        return View(
            schema=self._schema,
            entity=self._entity,
            ttl=self._ttl,
            where=where,
            inputs=tuple(self._inputs),
            features=tuple(features),
        )

    def _checked_entity(self) -> str | None:
        entity = self._data.get("entity")
        if entity is None:
            return None
        if not isinstance(entity, str):
            self._wrong("entity", "must be the name of an entity")
            return None
        if entity not in self._schema.entities:
            known = ", ".join(self._schema.entities)
            self._wrong("entity", f"the stream has no key for {shown(entity)!r}; known: {known}")
            return None
        return entity

    def _features(self) -> list[Feature]:
        rows = self._data.get("features")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_FEATURES:
            self._wrong("features", f"must be a list of 1 to {MAX_FEATURES} features")
            return []
        named = [row.get("name") for row in rows if isinstance(row, Mapping)]
        for name in named:
            if isinstance(name, str) and name not in self._kinds:
                self._refused.setdefault(name, "is a feature that is not declared above")
        found = [self._feature(f"features.{i}", row) for i, row in enumerate(rows)]
        return [feature for feature in found if feature is not None]

    def _feature(self, place: str, row: Any) -> Feature | None:
        if not isinstance(row, Mapping):
            self._wrong(place, "must be an object")
            return None
        shapes = [key for key in _SHAPES if key in row]
        if len(shapes) != 1:
            self._wrong(place, f"must have one of {', '.join(_SHAPES)}")
            return None
        name = self._taken_name(place, row.get("name"))
        if name is None:
            return None
        if shapes != ["expression"] and self._data.get("entity") is None:
            self._wrong(f"{place}.{shapes[0]}", "needs the view to have an entity")
        makers = {
            "aggregate": self._aggregation, "expression": self._transform,
            "sequence": self._sequence,
        }  # fmt: skip
        before = len(self._problems)
        feature = makers[shapes[0]](place, row)
        if feature is None or len(self._problems) > before:
            self._refused[name] = "is a feature with a mistake of its own"
        elif feature.kind == "sequence":
            self._refused[name] = "is a sequence, which only models take"
        else:
            self._refused.pop(name, None)
            self._kinds[name] = feature.kind
        return feature

    def _taken_name(self, place: str, name: Any) -> str | None:
        place = f"{place}.name"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._wrong(place, NAME_RULE)
            return None
        if name.lower() in self._names:
            self._wrong(place, f"{name!r} is there twice")
            return None
        if name in (*_RESERVED, self._schema.label):
            self._wrong(place, f"{name!r} names something else in the stream")
            return None
        self._names.add(name.lower())
        return name

    def _aggregation(self, place: str, row: Mapping[str, Any]) -> Aggregation | None:
        self._only(place, row, {"name", "aggregate", "of", "window", "lag", "where", "default"})
        function = row["aggregate"]
        if not isinstance(function, str) or function not in FUNCTIONS:
            self._wrong(f"{place}.aggregate", f"must be one of {', '.join(FUNCTIONS)}")
            return None
        if row["name"] in self._schema.by_name:
            # A transform that is declared before it would read the field, or the feature?
            self._wrong(f"{place}.name", f"{row['name']!r} is a field of the stream")
        if function in WITHOUT_INPUT and row.get("of") is not None:
            self._wrong(f"{place}.of", f"{function} counts events and takes no field")
        of = None if function in WITHOUT_INPUT else self._expression(f"{place}.of", row.get("of"))
        if of is not None and function in NUMERIC_ONLY and of.kind == "category":
            self._wrong(f"{place}.of", f"{of.text!r} is text, but {function} needs a number")
        window = self._window(place, row)
        lag = self._duration(f"{place}.lag", row.get("lag", "0s"), zero=True)
        kind: ResultKind = "numeric"
        if function == "last" and of is not None and of.kind != "time":
            kind = of.kind
        where = self._condition(f"{place}.where", row.get("where"))
        default = self._default(place, row, kind)
        if window is None or lag is None or (of is None and function not in WITHOUT_INPUT):
            return None
        return Aggregation(
            name=row["name"],
            function=function,
            input=self._input(of, where),
            window=window,
            lag=lag,
            kind=kind,
            default=default,
        )

    def _transform(self, place: str, row: Mapping[str, Any]) -> Transform | None:
        self._only(place, row, {"name", "expression", "default"})
        expression = self._expression(f"{place}.expression", row["expression"], own_fields=False)
        if expression is None:
            return None
        if expression.kind == "time":
            self._wrong(f"{place}.expression", _TIME)
            return None
        kind: ResultKind = expression.kind
        return Transform(row["name"], expression, kind, self._default(place, row, kind))

    def _sequence(self, place: str, row: Mapping[str, Any]) -> Sequence | None:
        self._only(place, row, {"name", "sequence", "length", "window", "where"})
        texts, length = row["sequence"], row.get("length")
        if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_STEP:
            self._wrong(f"{place}.sequence", f"must be a list of 1 to {MAX_STEP} expressions")
            return None
        if type(length) is not int or not 1 <= length <= MAX_LENGTH:
            self._wrong(f"{place}.length", f"must be a whole number from 1 to {MAX_LENGTH}")
        window = self._window(place, row)
        where = self._condition(f"{place}.where", row.get("where"))
        parts = [self._expression(f"{place}.sequence.{i}", text) for i, text in enumerate(texts)]
        if any(part is not None and part.kind == "category" for part in parts):
            self._wrong(f"{place}.sequence", "holds text; a sequence is of numbers")
        if window is None or type(length) is not int:
            return None
        inputs = tuple(self._input(part, where) for part in parts)
        return Sequence(row["name"], inputs, length, window)

    def _window(self, place: str, row: Mapping[str, Any]) -> int | None:
        if "window" in row:
            return self._duration(f"{place}.window", row["window"])
        if self._data.get("ttl") is not None:  # None here when it is wrong, which was said
            return self._ttl
        self._wrong(f"{place}.window", "is required when the view has no ttl")
        return None

    def _duration(self, place: str, text: Any, *, zero: bool = False) -> int | None:
        try:
            length = durations.parse(text)
        except ValueError as error:
            self._wrong(place, str(error))
            return None
        if not length and not zero:
            self._wrong(place, "must be longer than zero")
            return None
        return length

    def _expression(self, place: str, text: Any, *, own_fields: bool = True) -> Expression | None:
        """Inputs read an event's own fields only; transforms also the features before them."""
        if not isinstance(text, str) or not text.strip():
            self._wrong(place, "must be a field or an expression")
            return None
        kinds, refused = self._kinds, self._refused
        if own_fields:
            kinds = self._schema.kinds
            features = dict.fromkeys(self._kinds.keys() | self._refused.keys(), _OWN)
            refused = {n: why for n, why in features.items() if n not in kinds} | self._label
        try:
            expression = parse(text, kinds, refused=refused)
        except ExpressionError as error:
            self._wrong(place, str(error))
            return None
        if own_fields and expression.kind == "time":
            self._wrong(place, _TIME)
            return None
        return expression

    def _condition(self, place: str, text: Any) -> Expression | None:
        if text is None:
            return None
        expression = self._expression(place, text)
        if expression is not None and expression.kind != "boolean":
            self._wrong(place, f"{expression.text!r} is not true or false")
            return None
        return expression

    def _default(self, place: str, row: Mapping[str, Any], kind: ResultKind) -> Default:
        value = row.get("default")
        if value is None:
            return None
        place = f"{place}.default"
        types = {"numeric": (int, float), "boolean": (bool,), "category": (str,)}.get(kind, ())
        if type(value) not in types:
            self._wrong(place, f"must be {_SPOKEN[kind]}, as the feature is")
            return None
        if kind == "numeric":
            if not abs(value) <= LARGEST_DEFAULT:
                self._wrong(place, "is too large, or no number")
                return None
            return float(value)
        if kind == "category" and not (value.isprintable() and len(value) <= MAX_DEFAULT):
            self._wrong(place, f"must be at most {MAX_DEFAULT} printable characters")
            return None
        return value  # type: ignore[no-any-return]

    def _input(self, of: Expression | None, where: Expression | None) -> int:
        wanted = Input(of, where)
        for i, known in enumerate(self._inputs):
            if known.key == wanted.key:
                return i
        self._inputs.append(wanted)
        return len(self._inputs) - 1

    def _only(self, place: str, row: Mapping[str, Any], known: set[str]) -> None:
        for name in row.keys() - known:
            self._wrong(f"{place}.{shown(name)}", "unknown key")

    def _wrong(self, place: str, text: str) -> None:
        self._problems.append((place, text))
