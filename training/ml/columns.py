"""What each column of a raw table is: the label, the time, a feature, or nothing to train on."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.ml.errors import TrainingError

Kind = Literal["numeric", "boolean", "category", "sequence"]
Column = npt.NDArray[Any]
Shape = tuple[int, int]  # steps, and numbers in each

LABEL_NAMES = (
    "is_fraud", "isfraud", "fraud", "tx_fraud", "label", "target", "class", "flag", "is_laundering",
)  # fmt: skip
TIME_NAMES = (
    "timestamp", "tx_datetime", "event_time", "transaction_time", "datetime", "created_at",
    "time", "date",
)  # fmt: skip
BESIDE = "event."  # columns of a built set that aren't features: the event's own fields
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
    identifiers or for numbers with a mistake in them. `sequences` are the steps and the numbers
    in each of those among them that are sequences.
    """

    label: str | None = None
    time: str | None = None
    exclude: Sequence[str] = ()
    keep: Sequence[str] = ()
    declared: Collection[str] = frozenset()
    sequences: Mapping[str, Shape] = field(default_factory=dict)
    takes_sequences: bool = False
    needs_labels: bool = True


@dataclass(frozen=True)
class Columns:
    """A table made ready: labels (n,) of 0/1 or None, seconds (n,) since 1970 or None, and
    features, which are read from the table when they are asked for.

    Numeric and boolean features are float64 with NaN for missing; categories
    are objects of text with None for missing; sequences are float64 (n, steps,
    size), the newest step last. `dropped` says why a column is not among the features.
    """

    table: pa.Table
    labels: npt.NDArray[np.int8] | None
    label_name: str
    seconds: npt.NDArray[np.float64] | None
    time_name: str | None
    kinds: dict[str, Kind]
    dropped: dict[str, str] = field(default_factory=dict)
    sequences: Mapping[str, Shape] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def feature(self, name: str, rows: npt.NDArray[np.intp] | None = None) -> Column:
        """A feature of all rows, or of `rows` in their order."""
        column = _at(self.table[name], rows)
        if self.kinds[name] == "sequence":
            return _steps(column, *self.sequences[name])
        return _values(column, self.kinds[name])

    def texts(self, name: str, rows: npt.NDArray[np.intp]) -> pa.ChunkedArray:
        """A category's values of `rows`, without surrounding blanks."""
        return _texts(_at(self.table[name], rows))

    def take(self, rows: npt.NDArray[np.intp]) -> dict[str, Column]:
        return {name: self.feature(name, rows) for name in self.kinds}


def assign(table: pa.Table, choices: Choices) -> Columns:
    """Sort a raw table's columns into label, time and features.

    Raises `TrainingError` naming the column for: a missing, non-binary or
    one-class label, an unknown name among the choices, a column without any
    value, a number column with text in it, or nothing left to train on.
    """
    names = table.column_names
    _refuse_unknown(names, choices)
    label_name = _find_label(names, choices)
    labelled, labels = table, None
    if label_name:
        if table[label_name].null_count:
            labelled = table.filter(pc.is_valid(table[label_name]))
        labels = _labels(labelled[label_name], label_name)
    time_name = _find_time(labelled, choices.time, label_name)
    dropped: dict[str, str] = {}
    if labelled.num_rows < table.num_rows:
        dropped["(rows)"] = f"{table.num_rows - labelled.num_rows:,} rows without a label"
    kinds: dict[str, Kind] = {}
    for name in names:
        if name in (label_name, time_name):
            continue
        why = _why_left_out(name, labelled[name], choices)
        if why:
            dropped[name] = why
        else:
            is_declared = name in choices.declared
            kinds[name] = _kind(name, labelled[name], is_declared=is_declared)
    if not kinds:
        raise TrainingError("dataset_path", "no column is left to train on")
    return Columns(
        table=labelled,
        labels=labels,
        label_name=label_name,
        seconds=_seconds(labelled[time_name], time_name) if time_name else None,
        time_name=time_name,
        kinds=kinds,
        dropped=dropped,
        sequences=choices.sequences,
    )


def _refuse_unknown(names: Sequence[str], choices: Choices) -> None:
    for parameter, wanted in (("exclude_columns", choices.exclude), ("keep_columns", choices.keep)):
        for name in wanted:
            if name not in names:
                raise TrainingError(parameter, f"the file has no column {name!r}")


def _find_label(names: Sequence[str], choices: Choices) -> str:
    """The label's name; "" when there is none and none is needed."""
    wanted = choices.label
    if wanted is not None:
        if wanted not in names:
            raise TrainingError("label_column", f"the file has no column {wanted!r}")
        return wanted
    by_name = {name.lower(): name for name in names}
    for candidate in LABEL_NAMES:
        if candidate in by_name:
            return by_name[candidate]
    if not choices.needs_labels:
        return ""
    known = ", ".join(LABEL_NAMES)
    raise TrainingError("label_column", f"no label column found (looked for {known}); name it")


def _labels(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int8]:
    words = [str(value).strip().lower() for value in pc.unique(column).to_pylist()]
    strange = [word for word in words if word not in TRUE_WORDS | FALSE_WORDS]
    if strange:
        raise TrainingError(name, f"the label must be binary (0 and 1); found {strange[0][:50]!r}")
    if len({word in TRUE_WORDS for word in words}) < 2:  # noqa: PLR2004 - two classes
        raise TrainingError(name, "the label has one class only; training needs both")
    encoded = column.dictionary_encode().combine_chunks()
    meaning = [str(value).strip().lower() in TRUE_WORDS for value in encoded.dictionary.to_pylist()]
    labels: npt.NDArray[np.int8] = np.array(meaning, dtype=np.int8)[encoded.indices.to_numpy()]
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
    if name.startswith(BESIDE):
        return "a field of the event, for the evaluation only"
    if name in choices.declared:
        return _why_untrainable(column, choices, wanted=name in choices.keep)
    return None if name in choices.keep else _why_useless(name, column)


def _why_untrainable(column: pa.ChunkedArray, choices: Choices, *, wanted: bool) -> str | None:
    """Why a declared feature can't be trained on, or None."""
    if pa.types.is_nested(column.type):
        return None if choices.takes_sequences else "a sequence, which this algorithm doesn't take"
    if column.null_count == len(column):
        return "has no value in any row"
    if not wanted and _is_constant(column):
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
    if _is_constant(column):
        return "has one value only"
    if _is_text(column.type):
        distinct = pc.count_distinct(column, mode="only_valid").as_py()
        if distinct > _UNIQUE_SHARE * (len(column) - column.null_count):
            return "an identifier: most of its values are unique"
    return None


def _is_constant(column: pa.ChunkedArray) -> bool:
    if column.null_count or pa.types.is_nested(column.type):
        return False
    if pa.types.is_dictionary(column.type):
        return len(pc.unique(column)) == 1
    found = pc.min_max(column)
    if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
        return False
    return bool(found["min"].as_py() == found["max"].as_py())


def _counts_rows(column: pa.ChunkedArray) -> bool:
    if column.null_count or len(column) < 3:  # noqa: PLR2004 - two steps make a row count
        return False
    steps = np.diff(column.to_numpy())
    return float(np.mean(steps == 1)) >= _COUNTER_SHARE


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(name: str, column: pa.ChunkedArray, *, is_declared: bool = False) -> Kind:
    if column.null_count == len(column):
        raise TrainingError(name, "this column has no value at all; name it in exclude_columns")
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        _refuse_huge(name, column)
        return "numeric"
    if _is_text(kind):
        if not is_declared:
            _refuse_dirty_numbers(name, column)
        return "category"
    if is_declared and pa.types.is_nested(kind):
        return "sequence"
    raise TrainingError(name, f"columns of type {kind} can't be trained on; exclude it")


def _at(column: pa.ChunkedArray, rows: npt.NDArray[np.intp] | None) -> pa.ChunkedArray:
    """`rows` of a column; a stretch of it costs nothing."""
    if rows is None:
        return column
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and np.all(np.diff(rows) == 1):
        return column.slice(int(rows[0]), len(rows))
    return column.take(pa.array(rows))


def _values(column: pa.ChunkedArray, kind: Kind) -> Column:
    if kind == "category":
        return np.array([*(v or None for v in _texts(column).to_pylist()), None], dtype=object)[:-1]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return _numbers(column.cast(pa.int8()) if kind == "boolean" else column)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.utf8_trim_whitespace(column)


def _steps(column: pa.ChunkedArray, steps: int, size: int) -> npt.NDArray[np.float64]:
    """A column of lists of at most `steps` lists of `size` numbers, oldest first, as (n, steps,
    size); NaN before the first step of a shorter one."""
    lists = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.intp)
    present = lists.flatten()
    numbers = present.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
    dense = np.full((len(lists), steps, size), np.nan)
    rows = np.repeat(np.arange(len(lists)), lengths)
    first = np.cumsum(lengths) - lengths
    place = np.arange(len(present)) - np.repeat(first, lengths)
    dense[rows, place + steps - lengths[rows]] = np.reshape(numbers, (len(present), size))
    return dense


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    # safe=False: whole numbers over 2**53 are rounded, as float64 can't hold them
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _refuse_huge(name: str, column: pa.ChunkedArray) -> None:
    limit = float(np.finfo(np.float32).max)
    found = pc.min_max(column)
    if max(abs(float(found["min"].as_py())), abs(float(found["max"].as_py()))) > limit:
        bad = int(np.flatnonzero(np.abs(_numbers(column)) > limit)[0])
        raise TrainingError(name, f"row {bad + 1} holds a number beyond the 32-bit range")


def _refuse_dirty_numbers(name: str, text: pa.ChunkedArray) -> None:
    """A number column with some text in it is a mistake, not a category."""
    present = pc.utf8_trim_whitespace(text.drop_null())
    matches = pc.match_substring_regex(present, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    share = pc.mean(matches.cast(pa.float64())).as_py()
    if share is not None and _NUMBER_SHARE <= share < 1:
        strange = present.filter(pc.invert(matches))[0].as_py()
        raise TrainingError(name, f"is a number column with text in it: {strange[:50]!r}")
