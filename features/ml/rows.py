"""Checks one row of a stream against its schema.

Hard problems refuse a row whatever the stream's policy says: without an id, a
time and its keys it is no event, and one from the future would be leaked to
the past. The other rules only refuse a row of a strict stream; else the row
goes on, without the value when it has the wrong type or an unknown name.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from features.ml.durations import SECOND
from features.ml.schema import MAX_TEXT, Field, Schema

Rule = Literal[
    "missing", "type", "range", "allowed", "length", "not_finite", "unknown_field", "future",
    "known_before", "conflict",
]  # fmt: skip

MAX_ID = 100
MAX_UNKNOWN = 20  # unknown fields that are told of one row
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EARLIEST = (datetime(1900, 1, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND
_FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_INTEGERS = range(-(2**63), 2**63)
_NO_NUMBER = frozenset({"na", "n/a", "#n/a", "nan", "null", "none"})
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule. `field` is empty when the row as a whole is wrong."""

    field: str
    rule: Rule
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A row after its check; to be used as an event only when it has no `problems`.

    `payload` holds the schema's fields that aren't null: numbers as float,
    times as microseconds since 1970. `known_time` is None when the row doesn't
    tell. `keys` are texts, in the order of the schema's entities.
    """

    payload: dict[str, Any]
    event_id: str
    event_time: int
    known_time: int | None
    keys: tuple[str | None, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class _Wrong(Exception):
    """A value breaks a rule so that it can't be used."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule: Rule = rule
        self.message = message


def check(
    schema: Schema, raw: Any, *, now_us: int, strict: bool, parse_text: bool = False
) -> Checked:
    """One row; many are quicker with one `Checker`, which says more."""
    return Checker(schema, strict=strict, parse_text=parse_text).check(raw, now_us=now_us)


class Checker:
    """Checks rows of a schema.

    `parse_text` is for files, whose columns have types of their own: it reads
    numbers, booleans and integer keys from text and from each other, and takes
    an empty text as null.
    """

    def __init__(self, schema: Schema, *, strict: bool, parse_text: bool = False) -> None:
        self.schema = schema
        self.strict = strict
        self.parse_text = parse_text
        self._names = schema.by_name.keys()
        self._fields = [(f, f.name, _READERS[f.type], _is_ruled(f)) for f in schema.fields]
        self._keys = tuple(schema.entities.values())
        self._needed = {f.name for f in schema.fields if f.required}
        self._needed |= {schema.event_id, schema.event_time, *self._keys}

    def check(self, raw: Any, *, now_us: int) -> Checked:
        """`raw`, which is refused when it is no mapping, as an event."""
        if not isinstance(raw, Mapping):
            problem = Problem("", "type", "must be an object with the event's fields")
            return Checked({}, "", 0, None, (), (problem,), ())
        found = _Found(self.strict)
        payload, schema, parse_text = found.payload, self.schema, self.parse_text
        for field, name, reader, is_ruled in self._fields:
            given = raw.get(name)
            if given is None or (parse_text and _is_blank(given, field)):
                if name in self._needed:
                    found.miss(name)
                continue
            try:
                payload[name] = value = reader(given, schema, parse_text)
            except _Wrong as wrong:
                vital = name in self._needed or name == schema.known_time
                found.note(Problem(name, wrong.rule, wrong.message), hard=vital)
                continue
            if is_ruled:
                found.check_rules(field, value)
        if not raw.keys() <= self._names:
            found.refuse_unknown(raw, self._names)
        return self._finished(found, now_us)

    def check_part(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        """Some fields of an event, of which none is required: the payload, and what is wrong."""
        found = _Found(strict=True)
        for _, name, reader, _ in self._fields:
            if raw.get(name) is not None:
                try:
                    found.payload[name] = reader(raw[name], self.schema, self.parse_text)
                except _Wrong as wrong:
                    found.note(Problem(name, wrong.rule, wrong.message), hard=True)
        if not raw.keys() <= self._names:
            found.refuse_unknown(raw, self._names)
        return found.payload, found.problems

    def _finished(self, found: "_Found", now_us: int) -> Checked:
        schema, payload = self.schema, found.payload
        event_time = payload.get(schema.event_time)
        known_time = payload.get(schema.known_time) if schema.known_time else None
        if event_time is not None:
            _check_times(schema, event_time, known_time, now_us, found.problems)
        return Checked(
            payload,
            found.event_id(schema.event_id),
            event_time or 0,
            known_time,
            tuple([found.key(name) for name in self._keys]),
            tuple(found.problems),
            tuple(found.warnings),
        )


class _Found:
    """What was found in one row so far."""

    __slots__ = ("_strict", "payload", "problems", "warnings")

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.payload: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def check_rules(self, field: Field, value: Any) -> None:
        broken = _broken_rule(field, value)
        if broken is not None:
            self.note(broken, hard=False)

    def refuse_unknown(self, raw: Mapping[Any, Any], known: Collection[str]) -> None:
        for name in sorted(str(name) for name in raw if name not in known)[:MAX_UNKNOWN]:
            problem = Problem(_shown(name), "unknown_field", "is not in the stream's schema")
            self.note(problem, hard=False)

    def event_id(self, name: str) -> str:
        text = self.key(name) or ""
        if len(text) > MAX_ID:
            self.problems.append(Problem(name, "length", f"is longer than {MAX_ID} characters"))
        return text

    def key(self, name: str) -> str | None:
        value = self.payload.get(name)
        if value == "":
            self.miss(name)
        return None if value is None else str(value)

    def miss(self, name: str) -> None:
        self.problems.append(Problem(name, "missing", "is required"))

    def note(self, problem: Problem, *, hard: bool) -> None:
        (self.problems if hard or self._strict else self.warnings).append(problem)


def _is_ruled(field: Field) -> bool:
    return field.type == "text" or field.low is not None or field.high is not None


def _check_times(
    schema: Schema, event_time: int, known_time: int | None, now_us: int, problems: list[Problem]
) -> None:
    ahead = schema.future_seconds * SECOND
    if event_time > now_us + ahead:
        problems.append(_future(schema.event_time, event_time, now_us))
    elif event_time < EARLIEST:
        problems.append(Problem(schema.event_time, "range", "is before the year 1900"))
    if known_time is None or schema.known_time is None:
        return
    if known_time > now_us + ahead:
        problems.append(_future(schema.known_time, known_time, now_us))
    elif known_time < event_time - ahead:
        text = f"is before the event itself ({schema.event_time})"
        problems.append(Problem(schema.known_time, "known_before", text))


def _future(name: str, moment: int, now_us: int) -> Problem:
    ahead = timedelta(seconds=(moment - now_us) // SECOND)
    return Problem(name, "future", f"lies in the future, by {ahead}")


def _shown(name: str) -> str:
    return name[:MAX_ID].replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _broken_rule(field: Field, value: Any) -> Problem | None:
    """A rule of the field that a value of the right type breaks."""
    if field.low is not None and value < field.low:
        return Problem(field.name, "range", f"must be at least {field.low:g}")
    if field.high is not None and value > field.high:
        return Problem(field.name, "range", f"must be at most {field.high:g}")
    if field.type != "text":
        return None
    if len(value) > field.max_length:
        return Problem(field.name, "length", f"is longer than {field.max_length} characters")
    if field.allowed and value not in field.allowed:
        return Problem(field.name, "allowed", f"must be one of: {', '.join(field.allowed)[:200]}")
    return None


def _is_blank(value: Any, field: Field) -> bool:
    """Whether a file means null by it. "NA" may be a text of its own (Namibia is one)."""
    if isinstance(value, str):
        return value == "" or (field.type != "text" and value.strip().lower() in _NO_NUMBER)
    return isinstance(value, float) and math.isnan(value)


def _number(value: Any, schema: Schema, parse_text: bool) -> float:
    kind = type(value)
    if kind is not float:
        if kind is int or (parse_text and kind is Decimal):
            value = _as_float(value)
        elif parse_text and kind is str:
            value = _parsed_number(value)
        else:
            raise _Wrong("type", "must be a number")
    if not math.isfinite(value):
        raise _Wrong("not_finite", "must be a finite number")
    return float(value + 0.0)  # one zero: -0.0 is the same value


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _Wrong("not_finite", "must be a finite number") from None


def _parsed_number(text: str) -> float:
    try:
        if text.isascii() and "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise _Wrong("type", "must be a number")


def _integer(value: Any, schema: Schema, parse_text: bool) -> int:
    if type(value) is str and parse_text:
        text = value.strip()
        is_plain = text.removeprefix("-").isdecimal() and text.isascii()
        value = int(text) if is_plain and len(text) < MAX_ID else _parsed_number(value)
    elif parse_text and type(value) is bool:
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _Wrong("type", "must be a whole number")
    if value not in _INTEGERS:
        raise _Wrong("range", "must fit 64 bits")
    return int(value)


def _boolean(value: Any, schema: Schema, parse_text: bool) -> bool:
    if type(value) is bool:
        return value
    if parse_text:
        text = f"{value:g}" if type(value) is float else str(value)
        found = _BOOLEANS.get(text.strip().lower())
        if found is not None:
            return found
    raise _Wrong("type", "must be true or false")


def _text(value: Any, schema: Schema, parse_text: bool) -> str:
    if type(value) is not str:
        if not parse_text or type(value) is not int:
            raise _Wrong("type", "must be text")
        value = str(value)
    if "\x00" in value:
        raise _Wrong("type", "must not hold a NUL character")
    if len(value) > MAX_TEXT:
        raise _Wrong("length", f"is longer than {MAX_TEXT} characters")
    return str(value)


def _time(value: Any, schema: Schema, parse_text: bool) -> int:
    if type(value) is str:
        value = _parsed_time(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - gets its zone below
    if not isinstance(value, datetime):
        raise _Wrong("type", "must be a time in ISO 8601, such as 2026-03-01T12:00:00+01:00")
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC if schema.timezone == "UTC" else ZoneInfo(schema.timezone))
    try:
        gone = value - EPOCH
    except OverflowError:
        raise _Wrong("range", "is not within the years 1 to 9999") from None
    moment = (gone.days * 86_400 + gone.seconds) * SECOND + gone.microseconds
    if not _FIRST <= moment <= _LAST:
        raise _Wrong("range", "is not within the years 1 to 9999")
    return int(moment)


def _parsed_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


_READERS: dict[str, Callable[[Any, Schema, bool], Any]] = {
    "number": _number, "integer": _integer, "boolean": _boolean, "text": _text, "time": _time,
}  # fmt: skip
