"""The functions of expressions. Times are read in UTC.

log, log1p and round walk the same Python function for a column as for one value: numpy's own
differ from it in the last digit.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from features.ml.durations import DAY, UNITS
from features.ml.schema import Kind
from features.ml.terms import (
    Column,
    Columns,
    Row,
    Term,
    arithmetic,
    finite,
    is_missing,
)

OTHER = "other"  # what `group` calls texts of no group
_HOUR = UNITS["h"]
_NIGHT_ENDS = 6  # the last hour of the night, as the Fraud Detection Handbook counts it
_SATURDAY = 5

Family = Literal["number", "text", "time"]


@dataclass(frozen=True)
class Function:
    """A function of `low` to `high` (None: any number of) terms of one family."""

    family: Family
    low: int
    high: int | None
    build: Callable[[Sequence[Term], str], Term]


def _unary(
    kind: Kind, scalar: Callable[[Any], Any], array: Callable[[Column], Column]
) -> Callable[[Sequence[Term], str], Term]:
    """A function of one number or text; `array` keeps missing values missing."""

    def build(terms: Sequence[Term], text: str) -> Term:
        inner, columns_of = terms[0].value, terms[0].column

        def value(row: Row) -> Any:
            found = inner(row)
            return None if found is None else scalar(found)

        return Term(kind, value, lambda columns, rows: array(columns_of(columns, rows)), text)

    return build


def _numbers_by(scalar: Callable[[float], float | None]) -> Callable[[Column], Column]:
    """`scalar` over a column of numbers, None becoming NaN."""

    def array(column: Column) -> Column:
        result = np.full(len(column), np.nan)
        present = ~np.isnan(column)
        result[present] = np.array([scalar(x) for x in column[present].tolist()], dtype=np.float64)
        return result

    return array


def _texts_by(scalar: Callable[[str], Any], dtype: type) -> Callable[[Column], Column]:
    """`scalar` over a column of texts, once per different text."""

    def array(column: Column) -> Column:
        table = {x: None if x is None else scalar(x) for x in set(column)}
        return np.array([table[x] for x in column], dtype=dtype)

    return array


def _of_time(
    kind: Kind, part: Callable[[Any], Any], after: Callable[[Any], Any] = float
) -> Callable[[Sequence[Term], str], Term]:
    """`part` works on whole microseconds, one or an array of them, in integer arithmetic."""

    def build(terms: Sequence[Term], text: str) -> Term:
        inner, columns_of = terms[0].value, terms[0].column

        def value(row: Row) -> Any:
            found = inner(row)
            return None if found is None else after(part(found))

        def column(columns: Columns, rows: int) -> Column:
            found = columns_of(columns, rows)
            return np.where(is_missing(found, "time"), np.nan, part(found))

        return Term(kind, value, column, text)

    return build


def _hour(time: Any) -> Any:
    return time // _HOUR % 24


def _weekday(time: Any) -> Any:
    return (time // DAY + 3) % 7  # 1970 began on a Thursday


def _day_of_month(time: Any) -> Any:
    """By Hinnant's calendar of eras of 400 years that begin on the first of March."""
    day = (time // DAY + 719_468) % 146_097
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day = day - (365 * year + year // 4 - year // 100)
    month = (5 * day + 2) // 153
    return day - (153 * month + 2) // 5 + 1


def _seconds_between(terms: Sequence[Term], text: str) -> Term:
    """From the first to the second; negative when the second is earlier."""
    first, second = terms

    def value(row: Row) -> float | None:
        start, end = first.value(row), second.value(row)
        return None if start is None or end is None else (end - start) / 1e6

    def column(columns: Columns, rows: int) -> Column:
        start, end = first.column(columns, rows), second.column(columns, rows)
        seconds = (end - start) / 1e6
        seconds[is_missing(start, "time") | is_missing(end, "time")] = np.nan
        return seconds

    return Term("numeric", value, column, text)


def _extreme(
    pick: Callable[[list[float]], float], ufunc: Any
) -> Callable[[Sequence[Term], str], Term]:
    """The least or greatest; missing where any operand is."""

    def build(terms: Sequence[Term], text: str) -> Term:
        values = [term.value for term in terms]

        def value(row: Row) -> float | None:
            found = [term(row) for term in values]
            return None if None in found else pick(found)

        def column(columns: Columns, rows: int) -> Column:
            result: Column = ufunc.reduce([term.column(columns, rows) for term in terms])
            return result

        return Term("numeric", value, column, text)

    return build


def _log(x: float) -> float | None:
    return math.log(x) if x > 0 else None


def _log1p(x: float) -> float | None:
    return math.log1p(x) if x > -1 else None


def _sqrt(x: float) -> float | None:
    return math.sqrt(x) if x >= 0 else None


def _ratio(terms: Sequence[Term], text: str) -> Term:
    return arithmetic(terms[0], "/", terms[1], text)


def _is_weekend(time: Any) -> Any:
    return _weekday(time) >= _SATURDAY


def _is_night(time: Any) -> Any:
    return _hour(time) <= _NIGHT_ENDS


def _round(x: float) -> float:
    return float(round(x))


FUNCTIONS: dict[str, Function] = {
    "log": Function("number", 1, 1, _unary("numeric", _log, _numbers_by(_log))),
    "log1p": Function("number", 1, 1, _unary("numeric", _log1p, _numbers_by(_log1p))),
    "sqrt": Function("number", 1, 1, _unary("numeric", _sqrt, lambda c: finite(np.sqrt(c)))),
    "abs": Function("number", 1, 1, _unary("numeric", abs, np.abs)),
    "round": Function("number", 1, 1, _unary("numeric", _round, np.rint)),
    "min": Function("number", 2, None, _extreme(min, np.minimum)),
    "max": Function("number", 2, None, _extreme(max, np.maximum)),
    "ratio": Function("number", 2, 2, _ratio),
    "hour": Function("time", 1, 1, _of_time("numeric", _hour)),
    "weekday": Function("time", 1, 1, _of_time("numeric", _weekday)),
    "day_of_month": Function("time", 1, 1, _of_time("numeric", _day_of_month)),
    "is_weekend": Function("time", 1, 1, _of_time("boolean", _is_weekend, bool)),
    "is_night": Function("time", 1, 1, _of_time("boolean", _is_night, bool)),
    "seconds_between": Function("time", 2, 2, _seconds_between),
    "lower": Function("text", 1, 1, _unary("category", str.lower, _texts_by(str.lower, object))),
    "length": Function(
        "text", 1, 1, _unary("numeric", lambda x: float(len(x)), _texts_by(len, np.float64))
    ),
}


def rounded(term: Term, digits: int, text: str) -> Term:
    """To so many decimals, as Python does it: the nearest of the number's exact value."""

    def scalar(x: float) -> float:
        return round(x, digits)

    return _unary("numeric", scalar, _numbers_by(scalar))([term], text)


def grouped(term: Term, groups: Mapping[str, str], text: str) -> Term:
    """A text's group; `groups` maps texts to groups."""

    def scalar(x: str) -> str:
        return groups.get(x, OTHER)

    return _unary("category", scalar, _texts_by(scalar, object))([term], text)


def bucketed(term: Term, edges: Sequence[float], text: str) -> Term:
    """How many of the increasing `edges` a number has reached: 0 below the first."""
    bounds = np.array(edges)

    def array(column: Column) -> Column:
        place = np.searchsorted(bounds, column, side="right")
        return np.where(np.isnan(column), np.nan, place)

    return _unary("numeric", lambda x: float(bisect_right(edges, x)), array)([term], text)
