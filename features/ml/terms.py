"""The terms that expressions are built of. Each computes one value or a column, with one meaning.

A value is float, bool, str or int microseconds, None where it is missing. A column of numbers or
booleans (1 and 0) is float64 with NaN for missing; of texts it is an object array with None; of
times it is int64 microseconds with `MISSING_TIME`. Terms assume operands of fitting kinds.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ml.schema import Kind

Row = Mapping[str, Any]
Column = npt.NDArray[Any]
Columns = Mapping[str, Column]
Constant = float | bool | str

MISSING_TIME = np.iinfo(np.int64).min  # numpy's own "not a time", read as int64
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of an expression; `text` is how it was written, for complaints."""

    kind: Kind
    value: Callable[[Row], Any]
    column: Callable[[Columns, int], Column]
    text: str


# ---- leaves


def named(name: str, kind: Kind) -> Term:
    value, column = _LOADERS[kind]
    return Term(kind, value(name), column(name), name)


def constant(value: Constant, text: str) -> Term:
    if isinstance(value, str):
        return Term("category", lambda row: value, lambda columns, rows: _texts(value, rows), text)
    kind: Kind = "boolean" if isinstance(value, bool) else "numeric"
    return Term(kind, lambda row: value, lambda columns, rows: np.full(rows, float(value)), text)


def _texts(value: str, rows: int) -> Column:
    return np.full(rows, value, dtype=object)


def _number_value(name: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        found = row[name]
        if found is None:
            return None
        try:
            found = float(found)
        except OverflowError:  # an integer of hundreds of digits
            return None
        return found if -_INF < found < _INF else None

    return value


def _number_column(name: str) -> Callable[[Columns, int], Column]:
    def column(columns: Columns, rows: int) -> Column:
        found = np.asarray(columns[name], dtype=np.float64)
        return np.where(np.isinf(found), np.nan, found) if np.isinf(found).any() else found

    return column


def _boolean_value(name: str) -> Callable[[Row], bool | None]:
    def value(row: Row) -> bool | None:
        found = row[name]
        return None if found is None or found != found else bool(found)  # noqa: PLR0124 - NaN

    return value


def _text_value(name: str) -> Callable[[Row], str | None]:
    def value(row: Row) -> str | None:
        found = row[name]
        return found if found is None or type(found) is str else str(found)

    return value


def _text_column(name: str) -> Callable[[Columns, int], Column]:
    return lambda columns, rows: columns[name].astype(object, copy=False)


def _time_value(name: str) -> Callable[[Row], int | None]:
    def value(row: Row) -> int | None:
        found = row[name]
        return None if found is None or found == MISSING_TIME else int(found)

    return value


def _time_column(name: str) -> Callable[[Columns, int], Column]:
    def column(columns: Columns, rows: int) -> Column:
        found = columns[name]
        if found.dtype.kind == "M":
            found = found.astype("datetime64[us]")
        return found.astype(np.int64, copy=False)

    return column


_LOADERS: dict[Kind, tuple[Callable[[str], Any], Callable[[str], Any]]] = {
    "numeric": (_number_value, _number_column),
    "boolean": (_boolean_value, _number_column),
    "category": (_text_value, _text_column),
    "time": (_time_value, _time_column),
}


# ---- missing values


def is_missing(column: Column, kind: Kind) -> npt.NDArray[np.bool_]:
    if kind == "category":
        nothing: Any = None
        missing: npt.NDArray[np.bool_] = column == nothing
        return missing
    return column == MISSING_TIME if kind == "time" else np.isnan(column)


def finite(column: Column) -> Column:
    """The column, which must be no other term's, with NaN for what no number can hold."""
    column[~np.isfinite(column)] = np.nan
    return column


def as_flags(column: Column, *missing: npt.NDArray[np.bool_]) -> Column:
    """Booleans as a column, missing where any of `missing` is true."""
    flags = column.astype(np.float64)
    for mask in missing:
        flags[mask] = np.nan
    return flags


# ---- arithmetic


def as_number(term: Term) -> Term:
    """Booleans as 1.0 and 0.0."""
    if term.kind != "boolean":
        return term
    inner = term.value

    def value(row: Row) -> float | None:
        found = inner(row)
        return None if found is None else float(found)

    return Term("numeric", value, term.column, term.text)


def negative(term: Term, text: str) -> Term:
    inner, column = term.value, term.column

    def value(row: Row) -> float | None:
        found = inner(row)
        return None if found is None else -found

    return Term("numeric", value, lambda columns, rows: -column(columns, rows), text)


def _quotient(x: float, y: float) -> float:
    return x / y if y else _INF


# Arithmetic by its sign: for two numbers, and for two columns.
ARITHMETIC: dict[str, tuple[Callable[[float, float], float], Callable[..., Column]]] = {
    "+": (operator.add, np.add),
    "-": (operator.sub, np.subtract),
    "*": (operator.mul, np.multiply),
    "/": (_quotient, np.divide),
}


def arithmetic(left: Term, sign: str, right: Term, text: str) -> Term:
    """Missing where the result is no finite number."""
    scalar, array = ARITHMETIC[sign]
    a, b, columns_a, columns_b = left.value, right.value, left.column, right.column

    def value(row: Row) -> float | None:
        x = a(row)
        y = b(row)
        if x is None or y is None:
            return None
        result = scalar(x, y)
        return result if -_INF < result < _INF else None

    def column(columns: Columns, rows: int) -> Column:
        return finite(array(columns_a(columns, rows), columns_b(columns, rows)))

    return Term("numeric", value, column, text)


# ---- comparison and logic

COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], Callable[..., Column]]] = {
    "==": (operator.eq, np.equal),
    "!=": (operator.ne, np.not_equal),
    "<": (operator.lt, np.less),
    "<=": (operator.le, np.less_equal),
    ">": (operator.gt, np.greater),
    ">=": (operator.ge, np.greater_equal),
}


def comparison(left: Term, sign: str, right: Term, text: str) -> Term:
    scalar, array = COMPARISONS[sign]
    a, b = left.value, right.value

    def value(row: Row) -> bool | None:
        x = a(row)
        y = b(row)
        return None if x is None or y is None else scalar(x, y)

    def column(columns: Columns, rows: int) -> Column:
        x, y = left.column(columns, rows), right.column(columns, rows)
        return as_flags(array(x, y), is_missing(x, left.kind), is_missing(y, right.kind))

    return Term("boolean", value, column, text)


def chain(links: Sequence[Term], text: str) -> Term:
    """`a < b < c` as one comparison: missing where any operand is."""
    values = [link.value for link in links]

    def value(row: Row) -> bool | None:
        found = [link(row) for link in values]
        return None if None in found else all(found)

    def column(columns: Columns, rows: int) -> Column:
        least: Column = np.minimum.reduce([link.column(columns, rows) for link in links])
        return least

    return Term("boolean", value, column, text)


def member(term: Term, constants: Sequence[Constant], negated: bool, text: str) -> Term:
    """`in` and `not in`."""
    inner, members = term.value, frozenset(constants)

    def value(row: Row) -> bool | None:
        found = inner(row)
        return None if found is None else (found in members) is not negated

    def column(columns: Columns, rows: int) -> Column:
        found = term.column(columns, rows)
        if term.kind == "category":
            inside = np.fromiter((x in members for x in found), dtype=bool, count=rows)
        else:
            inside = np.isin(found, np.array(sorted(members), dtype=np.float64))
        return as_flags(inside ^ negated, is_missing(found, term.kind))

    return Term("boolean", value, column, text)


def every(parts: Sequence[Term], text: str) -> Term:
    return _joined(parts, all, np.logical_and, text)


def either(parts: Sequence[Term], text: str) -> Term:
    return _joined(parts, any, np.logical_or, text)


def _joined(
    parts: Sequence[Term],
    quantifier: Callable[[Any], bool],
    ufunc: Any,
    text: str,
) -> Term:
    """Missing counts as false."""
    values = [part.value for part in parts]

    def value(row: Row) -> bool:
        return quantifier(part(row) is True for part in values)

    def column(columns: Columns, rows: int) -> Column:
        return as_flags(ufunc.reduce([part.column(columns, rows) == 1 for part in parts]))

    return Term("boolean", value, column, text)


def negation(term: Term, text: str) -> Term:
    inner = term.value

    def column(columns: Columns, rows: int) -> Column:
        return as_flags(term.column(columns, rows) != 1)

    return Term("boolean", lambda row: inner(row) is not True, column, text)


# ---- choice


def choice(condition: Term, yes: Term, no: Term, text: str) -> Term:
    test, then, other = condition.value, yes.value, no.value

    def value(row: Row) -> Any:
        return then(row) if test(row) is True else other(row)

    def column(columns: Columns, rows: int) -> Column:
        holds = condition.column(columns, rows) == 1
        return np.where(holds, yes.column(columns, rows), no.column(columns, rows))

    return Term(yes.kind, value, column, text)


def first_present(parts: Sequence[Term], text: str) -> Term:
    kind, values = parts[0].kind, [part.value for part in parts]

    def value(row: Row) -> Any:
        for part in values:
            found = part(row)
            if found is not None:
                return found
        return None

    def column(columns: Columns, rows: int) -> Column:
        found = parts[0].column(columns, rows)
        for part in parts[1:]:
            found = np.where(is_missing(found, kind), part.column(columns, rows), found)
        return found

    return Term(kind, value, column, text)
