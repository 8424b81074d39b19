"""What each column of a raw table is: the label, the time, a feature, or nothing to train on."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.ml.errors import TrainingError

Kind = Literal["numeric", "boolean", "category"]
Column = npt.NDArray[Any]

LABEL_NAMES = (
    "is_fraud", "isfraud", "fraud", "tx_fraud", "label", "target", "class", "flag", "is_laundering",
)  # fmt: skip
TIME_NAMES = (
    "timestamp", "tx_datetime", "event_time", "transaction_time", "datetime", "created_at",
    "time", "date",
)  # fmt: skip
TRUE_WORDS = frozenset({"1", "1.0", "true", "yes", "y", "t", "fraud"})
FALSE_WORDS = frozenset({"0", "0.0", "false", "no", "n", "f", "legit", "genuine"})
_IDENTIFIER = re.compile(
    r"(^|_)(id|uuid|guid|key)$|^index$|^unnamed([:_ ]|$)|^row_?(number|num)$", re.I
)
_UNIQUE_SHARE = 0.5
_COUNTER_SHARE = 0.95
_NUMBER_SHARE = 0.9


@dataclass(frozen=True)
class Choices:
    """What the request says of the columns; None means: find it.

    The names in `declared` are features whose kinds are known: they are never taken for
    identifiers or for numbers with a mistake in them.
    """

    label: str | None = None
    time: str | None = None
    exclude: Sequence[str] = ()
    keep: Sequence[str] = ()
    declared: Collection[str] = frozenset()


@dataclass(frozen=True)
class Columns:
    """A table made ready: labels (n,) of 0/1, seconds (n,) since 1970 or None, and features.

    Numeric and boolean features are float64 with NaN for missing; categories
    are objects of text with None for missing. `dropped` says why a column is
    not among the features.
    """

    labels: npt.NDArray[np.int8]
    label_name: str
    seconds: npt.NDArray[np.float64] | None
    time_name: str | None
    features: dict[str, Column]
    kinds: dict[str, Kind]
    dropped: dict[str, str] = field(default_factory=dict)

    def take(self, rows: npt.NDArray[np.intp]) -> dict[str, Column]:
        return {name: values[rows] for name, values in self.features.items()}


def assign(table: pa.Table, choices: Choices) -> Columns:
    """Sort a raw table's columns into label, time and features.

    Raises `TrainingError` naming the column for: a missing, non-binary or
    one-class label, an unknown name among the choices, a column without any
    value, a number column with text in it, or nothing left to train on.
    """
    names = table.column_names
    for parameter, wanted in (("exclude_columns", choices.exclude), ("keep_columns", choices.keep)):
        for name in wanted:
            if name not in names:
                raise TrainingError(parameter, f"the file has no column {name!r}")
    label_name = _find_label(names, choices.label)
    labelled = table.filter(pc.is_valid(table[label_name]))
    labels = _labels(labelled[label_name], label_name)
    time_name = _find_time(labelled, choices.time, label_name)
    dropped: dict[str, str] = {}
    if labelled.num_rows < table.num_rows:
        dropped["(rows)"] = f"{table.num_rows - labelled.num_rows:,} rows without a label"
    features: dict[str, Column] = {}
    kinds: dict[str, Kind] = {}
    for name in names:
        if name in (label_name, time_name):
            continue
        column = labelled[name]
        why = _why_left_out(name, column, choices)
        if why:
            dropped[name] = why
        else:
            is_declared = name in choices.declared
            features[name], kinds[name] = _feature(name, column, is_declared=is_declared)
    if not features:
        raise TrainingError("dataset_path", "no column is left to train on")
    return Columns(
        labels=labels,
        label_name=label_name,
        seconds=_seconds(labelled[time_name], time_name) if time_name else None,
        time_name=time_name,
        features=features,
        kinds=kinds,
        dropped=dropped,
    )


def _find_label(names: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in names:
            raise TrainingError("label_column", f"the file has no column {wanted!r}")
        return wanted
    by_name = {name.lower(): name for name in names}
    for candidate in LABEL_NAMES:
        if candidate in by_name:
            return by_name[candidate]
    known = ", ".join(LABEL_NAMES)
    raise TrainingError("label_column", f"no label column found (looked for {known}); name it")


def _labels(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int8]:
    words = [str(value).strip().lower() for value in pc.unique(column).to_pylist()]
    strange = [word for word in words if word not in TRUE_WORDS | FALSE_WORDS]
    if strange:
        raise TrainingError(name, f"the label must be binary (0 and 1); found {strange[0][:50]!r}")
    values = [str(value).strip().lower() in TRUE_WORDS for value in column.to_pylist()]
    labels = np.array(values, dtype=np.int8)
    if not len(labels) or labels.min() == labels.max():
        raise TrainingError(name, "the label has one class only; training needs both")
    return labels


def _find_time(table: pa.Table, wanted: str | None, label: str) -> str | None:
    if wanted is not None:
        if wanted not in table.column_names or wanted == label:
            raise TrainingError("time_column", f"the file has no column {wanted!r} to use as time")
        return wanted
    dated = [name for name in table.column_names if _is_dated(table[name].type)]
    ranked = sorted(dated, key=lambda name: _rank(name.lower()))
    return ranked[0] if ranked else None


def _rank(name: str) -> int:
    return TIME_NAMES.index(name) if name in TIME_NAMES else len(TIME_NAMES)


def _is_dated(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _seconds(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    if column.null_count:
        raise TrainingError(name, f"{column.null_count:,} rows have no time")
    if _is_dated(column.type):
        stamps = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return np.asarray(stamps.to_numpy(), dtype=np.float64) / 1e6
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _numbers(column)
    raise TrainingError(name, "the time column must hold dates, times or numbers of seconds")


def _why_left_out(name: str, column: pa.ChunkedArray, choices: Choices) -> str | None:
    if name in choices.exclude:
        return "excluded by request"
    if name in choices.declared:
        return _why_untrainable(column, wanted=name in choices.keep)
    return None if name in choices.keep else _why_useless(name, column)


def _why_untrainable(column: pa.ChunkedArray, *, wanted: bool) -> str | None:
    """Why a declared feature can't be trained on, or None."""
    if pa.types.is_nested(column.type):
        return "a sequence, which this algorithm doesn't take"
    if column.null_count == len(column):
        return "has no value in any row"
    if not wanted and not column.null_count and len(pc.unique(column)) == 1:
        return "has one value only"
    return None


def _why_useless(name: str, column: pa.ChunkedArray) -> str | None:
    """Why a column says nothing that holds for tomorrow's rows, or None."""
    if _is_dated(column.type) or pa.types.is_time(column.type):
        return "a second time column"
    if _IDENTIFIER.search(name):
        return "an identifier by its name"
    if column.null_count == len(column) or pa.types.is_nested(column.type):
        return None  # told as an error by `_feature`
    if _is_text(column.type):
        _refuse_dirty_numbers(name, column)
    if pa.types.is_integer(column.type) and _counts_rows(column):
        return "counts the rows"
    distinct = len(pc.unique(column.drop_null()))
    if distinct == 1 and not column.null_count:
        return "has one value only"
    if _is_text(column.type) and distinct > _UNIQUE_SHARE * (len(column) - column.null_count):
        return "an identifier: most of its values are unique"
    return None


def _counts_rows(column: pa.ChunkedArray) -> bool:
    if column.null_count or len(column) < 3:  # noqa: PLR2004 - two steps make a row count
        return False
    steps = np.diff(column.to_numpy())
    return float(np.mean(steps == 1)) >= _COUNTER_SHARE


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _feature(
    name: str, column: pa.ChunkedArray, *, is_declared: bool = False
) -> tuple[Column, Kind]:
    if column.null_count == len(column):
        raise TrainingError(name, "this column has no value at all; name it in exclude_columns")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return _numbers(column.cast(pa.int8())), "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _finite(name, _numbers(column)), "numeric"
    if _is_text(kind):
        text = pc.utf8_trim_whitespace(column)
        if not is_declared:
            _refuse_dirty_numbers(name, column)
        return np.array([v or None for v in text.to_pylist()], dtype=object), "category"
    raise TrainingError(name, f"columns of type {kind} can't be trained on; exclude it")


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    # safe=False: whole numbers over 2**53 are rounded, as float64 can't hold them
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _finite(name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    limit = float(np.finfo(np.float32).max)
    bad = np.flatnonzero(np.abs(values) > limit)
    if len(bad):
        raise TrainingError(name, f"row {int(bad[0]) + 1} holds a number beyond the 32-bit range")
    return values


def _refuse_dirty_numbers(name: str, text: pa.ChunkedArray) -> None:
    """A number column with some text in it is a mistake, not a category."""
    present = pc.utf8_trim_whitespace(text.drop_null())
    matches = pc.match_substring_regex(present, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    share = pc.mean(matches.cast(pa.float64())).as_py()
    if share is not None and _NUMBER_SHARE <= share < 1:
        strange = present.filter(pc.invert(matches))[0].as_py()
        raise TrainingError(name, f"is a number column with text in it: {strange[:50]!r}")
