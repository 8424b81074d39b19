"""The newest events of a stream, for pages and previews: bounded in time and memory.

Reads what is not sealed yet from the table, and the ends of the newest sealed
files. Unlike `features.log.sealing.snapshot` it seals nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.log import Logged
from features.log.events import logged
from features.log.files import absolute, plain
from features.models import HotEvent, Stream

HOT = 2_000
SEALED = 200_000
FILES = 50
OWN = ("_seq", "_event_id", "_event_time", "_known_time")  # in the order of `Logged`


@dataclass(frozen=True)
class Read:
    """What was read: waiting events, and tables of sealed ones. An event that was sealed in
    between is in both; the methods give it once."""

    hot: Sequence[Logged]
    sealed: Sequence[pa.Table]

    @property
    def count(self) -> int:
        return len(self.hot) + sum(int(table.num_rows) for table in self.sealed)

    def newest(self, count: int) -> list[Logged]:
        """By event time, the newest first."""
        ends = [event for table in self.sealed for event in _events(_tail(table, count))]
        found = _once([*ends, *self.hot])
        return sorted(found, key=lambda event: (event.event_time, event.seq), reverse=True)[:count]

    def of_keys(self, field: str, keys: Collection[str], most: int) -> list[Logged]:
        """Those whose `field`, as text, is one of `keys`: the newest, about `most` of each."""
        hot = [event for event in self.hot if str(event.payload.get(field)) in keys]
        parts = [_of_keys(table, field, keys, most) for table in self.sealed]
        return _once([*(event for part in parts for event in _events(part)), *hot])


def read(stream: Stream, fields: Iterable[str]) -> Read:
    """The stream's newest events with these fields at least."""
    waiting = HotEvent.objects.filter(stream=stream).order_by("-seq")[:HOT]
    hot = [logged(stream.schema, row) for row in waiting]
    return Read(hot, list(_sealed(stream, [*OWN, *sorted(fields)])))


def _sealed(stream: Stream, columns: Sequence[str]) -> Iterator[pa.Table]:
    left = SEALED
    newest = stream.segments.order_by("-max_event_time").values_list("path", flat=True)
    for path in newest[:FILES]:
        try:
            table = _end_of(absolute(path), columns, left)
        except FileNotFoundError:  # merged into another file just now
            continue
        left -= table.num_rows
        yield table
        if left <= 0:
            return


def _end_of(path: Path, columns: Sequence[str], rows: int) -> pa.Table:
    """The last rows of a file, which is sorted by event time; without columns that it hasn't."""
    with pq.ParquetFile(path) as file:
        known = [name for name in columns if name in file.schema_arrow.names]
        found: list[pa.Table] = []
        for group in reversed(range(file.num_row_groups)):
            found.insert(0, file.read_row_group(group, columns=known))
            if sum(table.num_rows for table in found) >= rows:
                break
        empty = file.schema_arrow.empty_table().select(known)
    return _tail(pa.concat_tables(found or [empty]), rows)


def _of_keys(table: pa.Table, field: str, keys: Collection[str], most: int) -> pa.Table:
    if field not in table.column_names:
        return _tail(table, 0)
    texts = pc.cast(table[field], pa.string())
    wanted = table.filter(pc.is_in(texts, value_set=pa.array(sorted(keys), pa.string())))
    return _tail(wanted, most * len(keys))


def _tail(table: pa.Table, rows: int) -> pa.Table:
    return table.slice(max(0, table.num_rows - rows))


def _once(events: Iterable[Logged]) -> list[Logged]:
    return list({event.event_id: event for event in events}.values())


def _events(table: pa.Table) -> Iterator[Logged]:
    for values in zip(*map(plain, table.columns), strict=True):
        row = dict(zip(table.column_names, values, strict=True))
        seq, event_id, event_time, known_time = (row.pop(name) for name in OWN)
        there = {name: value for name, value in row.items() if value is not None}
        yield Logged(seq, event_id, event_time, known_time, there)
