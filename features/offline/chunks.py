"""Whole entities at a time: from DuckDB's sorted rows to what `windows.compute` takes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.ml.definition import View
from features.ml.schema import EVENT_TIME, Schema
from features.ml.windows import FOREVER, Asks, Column, Events, Ints, Positives
from features.offline.rows import Spells, columns_of, floats, ints, mask

CHUNK = 500_000  # rows in memory at a time, entities stay whole
NUMBER_LINE = 2**62


@dataclass(frozen=True)
class Chunk:
    """Whole entities, ready for `windows.compute`; `ask_rows` are positions in the asked rows."""

    events: Events
    positives: Positives
    asks: Asks
    ask_rows: Ints
    table: pa.Table
    columns: Mapping[str, Column]
    is_ask: npt.NDArray[np.bool_]

    def ask_ids(self) -> pa.Array:
        return self.table["_id"].filter(pa.array(self.is_ask)).combine_chunks()

    def ask_fields(self) -> dict[str, Column]:
        return {name: column[self.is_ask] for name, column in self.columns.items()}


class Chunker:
    """Cuts a view's sorted rows into chunks."""

    def __init__(self, view: View, names: Sequence[str], spells: Spells) -> None:
        self._view = view
        self._names = list(names)
        self._spells = spells
        self._schema: Schema = view.schema

    def chunks(self, reader: Iterable[pa.RecordBatch]) -> Iterator[Chunk]:
        """Of rows sorted by (_key, _t, _k, _s)."""
        for table in _whole_entities(reader):
            key = table["_key"].combine_chunks()
            starts = np.flatnonzero(
                pc.not_equal(key[1:], key[:-1]).to_numpy(zero_copy_only=False)
            ) + 1  # fmt: skip
            for first, last in _split(table, np.concatenate([[0], starts, [len(table)]])):
                yield self._chunk(table.slice(first, last - first))

    def _chunk(self, table: pa.Table) -> Chunk:
        view = self._view
        key = table["_key"].combine_chunks()
        change = pc.not_equal(key[1:], key[:-1]).to_numpy(zero_copy_only=False)
        code = np.concatenate([[0], np.cumsum(change)]).astype(np.int64)
        time, known, seq = (ints(table[name]) for name in ("_t", "_k", "_s"))
        columns = columns_of(self._schema, table, self._names) | {EVENT_TIME: time}
        is_ask = mask(table["_is_ask"])
        own, is_event, known_as = _own_events(table, code, is_ask, known)
        if view.where is not None:
            is_event &= view.where.column(columns, len(time)) == 1
        position = np.where(is_event, np.cumsum(is_event) - 1, -1)
        picked = {name: values[is_event] for name, values in columns.items()}
        events = Events(
            key=code[is_event],
            time=time[is_event],
            known=known_as[is_event],
            seq=seq[is_event],
            inputs=_inputs(view, picked, int(is_event.sum())),
        )
        asks = Asks(
            key=code[is_ask],
            time=time[is_ask],
            known=known[is_ask],
            seq=seq[is_ask],
            own=np.where(own >= 0, position[own], -1)[is_ask],
        )
        return Chunk(
            events=events,
            positives=self._positives(table, is_event, events),
            asks=asks,
            ask_rows=ints(table["_row"])[is_ask],
            table=table,
            columns=columns,
            is_ask=is_ask,
        )

    def _positives(
        self, table: pa.Table, is_event: npt.NDArray[np.bool_], events: Events
    ) -> Positives:
        if not self._view.reads_labels:
            return Positives(*(np.empty(0, np.int64) for _ in range(3)))
        own = floats(table["_label"])[is_event] == 1
        found: list[tuple[int, int, int]] = []
        if self._spells:
            ids = table["_id"].combine_chunks().filter(pa.array(is_event))
            for place, said in self._spells.places(ids):
                found += [(place, start, end) for start, end, positive in said if positive]
                if own[place]:
                    known = int(events.known[place])
                    found += [(place, *gap) for gap in _gaps(said, known)]
                    own[place] = False
        plain = np.flatnonzero(own).astype(np.int64)
        said_of = np.array(found, dtype=np.int64).reshape(-1, 3)
        return Positives(
            event=np.concatenate([plain, said_of[:, 0]]),
            start=np.concatenate([events.known[plain], said_of[:, 1]]),
            end=np.concatenate([np.full(len(plain), FOREVER), said_of[:, 2]]),
        )


def _whole_entities(reader: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of about `CHUNK` rows that end where an entity ends."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        waiting.append(batch)
        rows += batch.num_rows
        if rows < CHUNK:
            continue
        table = pa.Table.from_batches(waiting)
        key = table["_key"].combine_chunks()
        change = np.flatnonzero(pc.not_equal(key[1:], key[:-1]).to_numpy(zero_copy_only=False))
        if not len(change):  # one entity so far
            continue
        cut = int(change[-1]) + 1
        yield table.slice(0, cut)
        waiting = table.slice(cut).to_batches()
        rows = table.num_rows - cut
    if rows:
        yield pa.Table.from_batches(waiting)


def _split(table: pa.Table, edges: Ints) -> Iterator[tuple[int, int]]:
    """Row ranges of so many entities that their times fit behind each other on a number line."""
    spans = [
        int(values.max()) - int(values.min()) + 4
        for values in (ints(table[name]) for name in ("_t", "_k", "_s"))
    ]
    limit = max(1, NUMBER_LINE // max(spans))
    for i in range(0, len(edges) - 1, limit):
        yield int(edges[i]), int(edges[min(i + limit, len(edges) - 1)])


def _own_events(
    table: pa.Table, code: Ints, is_ask: npt.NDArray[np.bool_], known: Ints
) -> tuple[Ints, npt.NDArray[np.bool_], Ints]:
    """The row of each ask's own event, which rows are events, and when those were known.

    An ask whose event the log doesn't have is an event of its own, which nobody else knows.
    """
    is_event = mask(table["_is_event"])
    own = np.where(is_event & is_ask, np.arange(len(code)), -1)
    asks = np.flatnonzero(is_ask & ~is_event)
    if not len(asks):
        return own, is_event, known
    ids = table["_id"].combine_chunks()
    mine = [ids[int(i)].as_py() for i in asks]
    logged = is_event & pc.is_in(ids, pa.array(mine, pa.string()).drop_null()).to_numpy(
        zero_copy_only=False
    )
    place = {(int(code[i]), ids[int(i)].as_py()): int(i) for i in np.flatnonzero(logged)}
    known = known.copy()
    never = int(known.max()) + 1
    for ask, event_id in zip(asks, mine, strict=True):
        if event_id is None:
            continue
        found = place.get((int(code[ask]), event_id), -1)
        own[ask] = found if found >= 0 else ask
        if found < 0:
            is_event[ask] = True
    phantom = is_event & is_ask & ~mask(table["_is_event"])
    known_as = np.where(phantom, never, known)
    return own, is_event, known_as


def _inputs(view: View, columns: Mapping[str, Column], rows: int) -> tuple[Column, ...]:
    found = []
    for item in view.inputs:
        values = np.ones(rows) if item.of is None else item.of.column(columns, rows)
        if item.where is not None:
            values = values.copy()
            values[item.where.column(columns, rows) != 1] = (
                None if values.dtype == object else np.nan
            )
        found.append(values)
    return tuple(found)


def _gaps(said: Sequence[tuple[int, int, bool]], known: int) -> Iterator[tuple[int, int]]:
    """Stretches from `known` on in which no statement stood: the event's own label speaks."""
    at = known
    for start, end, _ in sorted(said):
        if start > at:
            yield at, start
        at = max(at, end)
    if at < FOREVER:
        yield at, FOREVER
