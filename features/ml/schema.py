"""The schema of a stream: its fields, and which of them are id, times, keys and label."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.ml.errors import DefinitionError, shown

FieldType = Literal["number", "integer", "boolean", "text", "time"]
Kind = Literal["numeric", "boolean", "category", "time"]

KINDS: dict[str, Kind] = {
    "number": "numeric", "integer": "numeric", "boolean": "boolean", "text": "category",
    "time": "time",
}  # fmt: skip
EVENT_TIME = "event_time"  # what expressions call the event's time, whatever the field's name
MAX_FIELDS = 200
MAX_TEXT = 1000
MAX_KEY = 1000
MAX_ALLOWED = 1000
_LARGEST = 1e300
NAME_RULE = "must start with a letter and hold at most 60 letters, digits or '_'"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")


@dataclass(frozen=True)
class Field:
    """One field of an event. `low` and `high` bound numbers, inclusive; `allowed` lists texts."""

    name: str
    type: FieldType
    required: bool = False
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    max_length: int = 200

    @property
    def kind(self) -> Kind:
        return KINDS[self.type]


@dataclass(frozen=True)
class Schema:
    """A stream's fields. `entities` maps an entity's name to the field that holds its key.

    `known_time` names the field that tells when the sender knew the event; without one it is
    the time of arrival. `timezone` reads times that don't say theirs. Events more than
    `future_seconds` ahead of the clock are refused.
    """

    fields: tuple[Field, ...]
    event_id: str
    event_time: str
    entities: Mapping[str, str]
    known_time: str | None = None
    label: str | None = None
    timezone: str = "UTC"
    future_seconds: int = 300
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {f.name: f for f in self.fields})

    @property
    def kinds(self) -> dict[str, Kind]:
        """What expressions may use: every field but the label, and `event_time`."""
        kinds = {f.name: f.kind for f in self.fields if f.name != self.label}
        return kinds | {EVENT_TIME: "time"}

    def key_of(self, entity: str, given: Any) -> str | None:
        """The one spelling of an entity's key; None for what can't be one."""
        if type(given) not in (str, int) or not 0 < len(str(given)) <= MAX_KEY:
            return None
        text = str(given)
        if self.by_name[self.entities[entity]].type != "integer":
            return text
        return str(int(text)) if text.removeprefix("-").isdecimal() and text.isascii() else None

    @classmethod
    def from_json(cls, data: Any) -> "Schema":
        """Raises `DefinitionError` naming each wrong part."""
        problems: list[tuple[str, str]] = []
        if not isinstance(data, Mapping):
            raise DefinitionError([("definition", "must be an object")])
        known = {"fields", "event_id", "event_time", "entities", "known_time", "label",
                 "timezone", "future_seconds"}  # fmt: skip
        problems += [(shown(name), "unknown key") for name in data if name not in known]
        fields = _fields(data.get("fields"), problems)
        types = {f.name: f.type for f in fields}
        _check_role(data, "event_id", types, ("text", "integer"), problems)
        _check_role(data, "event_time", types, ("time",), problems)
        _check_role(data, "known_time", types, ("time",), problems, optional=True)
        _check_role(data, "label", types, ("boolean", "integer"), problems, optional=True)
        if EVENT_TIME in types and data.get("event_time") != EVENT_TIME:
            problems.append((EVENT_TIME, "a field of this name must be the event's time"))
        entities = _entities(data.get("entities"), types, problems)
        if data.get("label") and data["label"] in (data.get("event_id"), *entities.values()):
            problems.append(("label", "must be a field of its own: no id, and no entity's key"))
        timezone = data.get("timezone", "UTC")
        future = data.get("future_seconds", 300)
        if not _is_zone(timezone):
            problems.append(("timezone", "must be a zone's IANA name, such as UTC"))
        if type(future) is not int or not 0 <= future <= 86_400:  # noqa: PLR2004 - a day
            problems.append(("future_seconds", "must be a whole number from 0 to 86400"))
        if problems:
            raise DefinitionError(problems)
        return cls(
            fields=tuple(fields),
            event_id=data["event_id"],
            event_time=data["event_time"],
            entities=entities,
            known_time=data.get("known_time") or None,
            label=data.get("label") or None,
            timezone=timezone,
            future_seconds=future,
        )


def _fields(rows: Any, problems: list[tuple[str, str]]) -> list[Field]:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_FIELDS:
        problems.append(("fields", f"must be a list of 1 to {MAX_FIELDS} fields"))
        return []
    found: list[Field] = []
    for i, row in enumerate(rows):
        text = _field_problem(row, {f.name.lower() for f in found})
        if text:
            problems.append((f"fields.{i}", text))
            continue
        found.append(
            Field(
                name=row["name"],
                type=row["type"],
                required=row.get("required", False),
                low=row.get("min"),
                high=row.get("max"),
                allowed=tuple(row.get("allowed", ())),
                max_length=row.get("max_length", 200),
            )
        )
    return found


def _field_problem(row: Any, taken: set[str]) -> str | None:
    if not isinstance(row, Mapping):
        return "must be an object with name and type"
    unknown = row.keys() - {"name", "type", "required", "min", "max", "allowed", "max_length"}
    if unknown:
        return f"unknown key {min(map(shown, unknown))!r}"
    name, type_ = row.get("name"), row.get("type")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"name {NAME_RULE}"
    if name.lower() in taken:  # columns of files don't differ by case alone
        return f"the name {name!r} is taken"
    if not isinstance(type_, str) or type_ not in get_args(FieldType):
        return f"type must be one of {', '.join(get_args(FieldType))}"
    return _bounds_problem(row, type_)


def _bounds_problem(row: Mapping[str, Any], type_: str) -> str | None:
    if type(row.get("required", False)) is not bool:
        return "required must be true or false"
    for bound in ("min", "max"):
        value = row.get(bound)
        if value is not None and (type_ not in ("number", "integer") or not _is_number(value)):
            return f"{bound} must be a number, and is for numbers only"
    if row.get("min") is not None and row.get("max") is not None and row["min"] > row["max"]:
        return "min must not be above max"
    allowed = row.get("allowed", [])
    if not isinstance(allowed, list) or not all(isinstance(value, str) for value in allowed):
        return "allowed must be a list of texts"
    if len(allowed) > MAX_ALLOWED or not all(value.isprintable() for value in allowed):
        return f"allowed must hold at most {MAX_ALLOWED} texts, all printable"
    if allowed and type_ != "text":
        return "allowed is for text only"
    length = row.get("max_length", 200)
    if type(length) is not int or not 1 <= length <= MAX_TEXT:
        return f"max_length must be a whole number from 1 to {MAX_TEXT}"
    return None


def _check_role(
    data: Mapping[str, Any],
    role: str,
    types: Mapping[str, str],
    wanted: tuple[str, ...],
    problems: list[tuple[str, str]],
    *,
    optional: bool = False,
) -> None:
    name = data.get(role)
    if name in (None, "") and optional:
        return
    if not isinstance(name, str) or name not in types:
        problems.append((role, "must name one of the fields"))
    elif types[name] not in wanted:
        problems.append((role, f"must be a field of type {' or '.join(wanted)}"))


def _entities(
    given: Any, types: Mapping[str, str], problems: list[tuple[str, str]]
) -> dict[str, str]:
    if not isinstance(given, Mapping) or not given:
        problems.append(("entities", "must map at least one entity to the field of its key"))
        return {}
    found: dict[str, str] = {}
    for entity, name in given.items():
        place = f"entities.{shown(entity)}"
        if not isinstance(entity, str) or not _NAME.fullmatch(entity):
            problems.append((place, f"an entity's name {NAME_RULE}"))
        elif not isinstance(name, str) or types.get(name) not in ("text", "integer"):
            problems.append((place, "must name a text or integer field"))
        else:
            found[entity] = name
    return found


def _is_zone(name: Any) -> bool:
    try:
        return isinstance(name, str) and name.isprintable() and bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST
