"""The log's Parquet files: how rows become one, and which of them still count."""

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from features.log.events import moment
from features.ml.durations import DAY
from features.ml.schema import FieldType, Schema
from features.models import EventSegment, Stream

ROW_GROUP = 100_000
# How long a file that no row names stays: readers that were told of it need an hour at most,
# and a writer has its row in by then.
KEEP_SECONDS = 2 * 3600
_TIME = pa.timestamp("us", tz="UTC")
_OWN = [("_event_id", pa.string()), ("_event_time", _TIME), ("_known_time", _TIME),
        ("_seq", pa.int64())]  # fmt: skip
_TYPES: dict[FieldType, pa.DataType] = {
    "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "text": pa.string(),
    "time": _TIME,
}  # fmt: skip
_ORDER = [("_event_time", "ascending"), ("_seq", "ascending")]


@dataclass(frozen=True)
class HotRow:
    """What the table holds of an event that is not sealed; times are in microseconds."""

    seq: int
    event_id: str
    event_time: int
    known_time: int
    payload: Mapping[str, Any]


def table_of(schema: Schema, rows: Sequence[HotRow]) -> pa.Table:
    own = (
        pa.array([row.event_id for row in rows], pa.string()),
        pa.array([row.event_time for row in rows], pa.int64()).cast(_TIME),
        pa.array([row.known_time for row in rows], pa.int64()).cast(_TIME),
        pa.array([row.seq for row in rows], pa.int64()),
    )
    fields = (
        column(field.type, [row.payload.get(field.name) for row in rows]) for field in schema.fields
    )
    return pa.Table.from_arrays([*own, *fields], schema=arrow_schema(schema))


def arrow_schema(schema: Schema) -> pa.Schema:
    return pa.schema([*_OWN, *((field.name, _TYPES[field.type]) for field in schema.fields)])


def column(type_: FieldType, values: list[Any]) -> pa.Array:
    """Values of a payload as an array of the field's type."""
    if type_ == "time":
        return pa.array(values, pa.int64()).cast(_TIME)
    if type_ == "number":  # PostgreSQL gives 1e300 as a whole number
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, _TYPES[type_])


def plain(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values, times as microseconds since 1970."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def write_days(stream: Stream, table: pa.Table) -> list[EventSegment]:
    """Write a file per day of event time, and give their rows, which are not saved yet."""
    table = table.sort_by(_ORDER)
    days = _ints(table["_event_time"]) // DAY
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    return [
        _write(stream, table.slice(start, end - start)) for start, end in pairwise(edges) if end
    ]


def _write(stream: Stream, table: pa.Table) -> EventSegment:
    times = _ints(table["_event_time"])
    first, last = moment(int(times[0])), moment(int(times[-1]))  # the table is sorted by them
    day = first.date()
    key = uuid.uuid4()
    path = folder(stream, day) / f"{key}.parquet"
    size = _write_file(path, table)
    return EventSegment(
        id=key,
        stream=stream,
        day=day,
        path=str(path.relative_to(settings.FEATURE_ROOT)),
        rows=table.num_rows,
        bytes=size,
        min_event_time=first,
        max_event_time=last,
        max_known_time=moment(int(_ints(table["_known_time"]).max())),
        max_seq=int(_ints(table["_seq"]).max()),
    )


def _ints(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return values


def folder(stream: Stream, day: date) -> Path:
    return Path(settings.FEATURE_ROOT) / "events" / stream.name / f"day={day.isoformat()}"


def _write_file(path: Path, table: pa.Table) -> int:
    """Whole and on disk under its name, or not under its name at all; gives its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    try:
        pq.write_table(table, scratch, compression="zstd", row_group_size=ROW_GROUP)
        _sync(scratch)
        size = scratch.stat().st_size
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    for parent in (path.parent, path.parent.parent):  # the day's folder may be new
        _sync(parent)
    return size


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def merged(stream: Stream, segments: Iterable[EventSegment]) -> pa.Table:
    """All rows of the segments, with the columns of today's schema, in the order of a file."""
    wanted = arrow_schema(stream.schema)
    tables = [_aligned(pq.read_table(absolute(segment.path)), wanted) for segment in segments]
    return pa.concat_tables(tables).sort_by(_ORDER)


def _aligned(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Fields that the stream got later are null."""
    columns = [
        table[field.name] if field.name in table.column_names else _nulls(table, field)
        for field in wanted
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def _nulls(table: pa.Table, field: pa.Field) -> pa.Array:
    return pa.nulls(table.num_rows, field.type)


def absolute(path: str) -> Path:
    return Path(settings.FEATURE_ROOT) / path


def keep_a_while(segments: Iterable[EventSegment]) -> None:
    """Start the time again after which files without a row are deleted."""
    for segment in segments:
        os.utime(absolute(segment.path))


def clear_leftovers(*, older_than: float = KEEP_SECONDS) -> int:
    """Delete files that no row names: of killed writers, of snapshots, merged ones; how many."""
    gone = 0
    oldest = time.time() - older_than
    for day in (Path(settings.FEATURE_ROOT) / "events").glob("*/day=*"):
        old = [path for path in _files(day) if path.stat().st_mtime < oldest]
        names = {str(path.relative_to(settings.FEATURE_ROOT)) for path in old}
        named = set(EventSegment.objects.filter(path__in=names).values_list("path", flat=True))
        for path in old:
            if str(path.relative_to(settings.FEATURE_ROOT)) not in named:
                path.unlink(missing_ok=True)
                gone += 1
    return gone


def _files(day: Path) -> Iterator[Path]:
    return (path for path in day.iterdir() if path.suffix in (".parquet", ".part"))
