"""Rows that ask for features of past moments: of which entities, when, with which event fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from aegisml.base import moments
from aegisml.base.errors import FieldError, Invalid
from features.log.events import microseconds
from features.ml.rows import Checker
from features.models import FeatureSet

MAX_ROWS = 10_000
SHOWN_ERRORS = 100
AT = "at"


def checked_rows(*, feature_set: FeatureSet, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows as {"at": microseconds, "keys": {entity: text}, "fields": {field: value}}.

    A row has `at`, a key for each entity by its name (or by its field), and
    any fields of the event. Raises `Invalid` naming each wrong part, such as `rows.3.at`.
    """
    if not 1 <= len(rows) <= MAX_ROWS:
        raise Invalid.field("rows", f"must be a list of 1 to {MAX_ROWS:,} rows")
    reader = _Reader(feature_set)
    found = []
    for i, row in enumerate(rows):
        found.append(reader.read(row, f"rows.{i}"))
        if len(reader.problems) >= SHOWN_ERRORS:
            break
    if reader.problems:
        raise Invalid.fields(reader.problems[:SHOWN_ERRORS])
    return found


class _Reader:
    """Reads rows of one feature set, and gathers what is wrong with them."""

    def __init__(self, feature_set: FeatureSet) -> None:
        members = list(feature_set.members.select_related("version__view__entity"))
        self._set = feature_set
        self._schema = feature_set.stream.schema
        self._checker = Checker(self._schema, strict=True)
        self._features = {name for member in members for name in member.names}
        views = [member.version.view for member in members]
        self._wanted = {view.entity.name for view in views if view.entity is not None}
        self.problems: list[FieldError] = []

    def read(self, row: Any, place: str) -> dict[str, Any]:
        if not isinstance(row, Mapping):
            self._wrong(place, "must be an object with at and keys")
            return {}
        at = self._at(row.get(AT), f"{place}.{AT}")
        keys = self._keys(row, place)
        rest = {k: v for k, v in row.items() if k != AT and k not in self._schema.entities}
        fields, problems = self._checker.check_part(rest)
        for problem in problems:
            self._wrong(f"{place}.{problem.field}", problem.message)
        for entity, name in self._schema.entities.items():
            key = fields.get(name)
            if key not in (None, "") and keys.setdefault(entity, str(key)) != str(key):
                self._wrong(f"{place}.{name}", f"differs from {entity}")
        for name in sorted((keys.keys() | fields.keys()) & self._features):
            self._wrong(f"{place}.{name}", f"is what {self._set} computes; leave it out")
        given = keys.keys() | {name for name in self._wanted if row.get(name) is not None}
        if self._wanted and not self._wanted & given:
            self._wrong(place, f"has no key of {', '.join(sorted(self._wanted))}")
        return {AT: at, "keys": keys, "fields": fields}

    def _at(self, given: Any, place: str) -> int:
        try:
            if isinstance(given, str):
                return microseconds(moments.parse(given))
            self._wrong(place, f"must be a time in ISO 8601, such as {moments.EXAMPLE}")
        except ValueError as error:
            self._wrong(place, str(error))
        return 0

    def _keys(self, row: Mapping[str, Any], place: str) -> dict[str, str]:
        keys: dict[str, str] = {}
        for entity in self._schema.entities:
            given = row.get(entity)
            if given is None:
                continue
            key = self._schema.key_of(entity, given)
            if key is None or "\x00" in key:  # PostgreSQL, which keeps the rows, takes no NUL
                self._wrong(f"{place}.{entity}", "is no key of this entity")
            else:
                keys[entity] = key
        return keys

    def _wrong(self, place: str, text: str) -> None:
        self.problems.append(FieldError(place, text))
