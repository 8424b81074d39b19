"""Features as of past moments: training sets, moments, served events, backfills."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from django.utils import timezone

from aegisml.base import paths
from features import label_log
from features.log.events import microseconds
from features.log.files import plain
from features.log.sealing import snapshot
from features.ml import windows
from features.ml.definition import View
from features.ml.durations import DAY
from features.ml.schema import EVENT_TIME, Schema
from features.ml.shaping import Columns, as_arrow, finish
from features.models import FeatureSet, FeatureViewVersion, Stream
from features.offline.chunks import Chunk
from features.offline.rows import Asked, Bounds, Spells
from features.offline.scanning import Scan, duckdb_connection

Report = Callable[[int], None]
Placed = tuple[Chunk, npt.NDArray[np.int64]]  # asks, and which of the asked rows they are
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Built:
    """How many rows a file has, and what its reader should know."""

    rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Again:
    """A served event to be computed again: `at` is its time, `known` the moment of serving (both
    in microseconds), `event` its fields, `keys` the entities' keys by entity."""

    event_id: str
    event: dict[str, Any]
    keys: dict[str, str]
    at: int
    known: int


def _silent(percent: int) -> None:
    """Nobody wants to know."""


def training_set(  # noqa: PLR0913 - what a data set is made of
    feature_set: FeatureSet,
    *,
    since: datetime,
    until: datetime,
    target: Path,
    as_known: bool = True,
    mature_at: datetime | None = None,
    beside: Collection[str] = (),
    report: Report = _silent,
) -> Built:
    """Write one row per event of [since, until): event_id, event_time, the set's features, label.

    The event's own fields named in `beside` follow as "event.<field>", for whoever evaluates.
    Features are as known when the event arrived, unless `as_known` is false. The label is the
    one known at `mature_at` (default now); an event without one counts as genuine once the
    stream's label delay is over, and is left out before that. The file is whole or not there.
    """
    stream = feature_set.stream
    bounds = Bounds(microseconds(since), microseconds(until))
    mature = microseconds(mature_at or timezone.now())
    spells = Spells(label_log.intervals(stream))
    members = list(feature_set.members.select_related("version__view__stream"))
    views = [member.version.compiled for member in members]
    oldest = bounds.since - max(view.reach for view in views)
    files = snapshot(stream, since=oldest, until=bounds.until)
    report(5)
    with duckdb_connection() as connection:
        scan = Scan(connection, stream.schema, files, spells)
        wanted = frozenset(beside).union(*(view.fields for view in views))
        asked = scan.events(bounds, fields=wanted)
        report(15)
        features: dict[str, pa.Array] = {}
        for i, (member, view) in enumerate(zip(members, views, strict=True)):
            places = _of_events(scan, view, bounds, asked)
            done = _computed(view, asked, places, as_known=as_known)
            features |= {name: as_arrow(view, name, done[name]) for name in member.names}
            report(15 + 75 * (i + 1) // len(members))
        labels, usable = _labels(stream, asked, spells, mature)
    table = pa.table(
        {"event_id": asked.ids, "event_time": pa.array(asked.time).cast(_TIME), **features,
         "label": pa.array(labels, pa.int8()),
         **{f"event.{name}": _own(asked.fields[name]) for name in sorted(beside)}}
    )  # fmt: skip
    table = table.filter(pa.array(usable)).sort_by("event_time")
    _write(table, target)
    report(100)
    return Built(table.num_rows, _notes(stream, asked, usable, as_known=as_known))


def _own(values: Any) -> pa.Array:
    return pa.array(values, pa.string()) if values.dtype == object else pa.array(values)


def at_moments(
    feature_set: FeatureSet,
    *,
    asks: pa.Table,
    target: Path,
    as_known: bool = True,
    report: Report = _silent,
) -> Built:
    """Write the columns of `asks` followed by the set's features.

    `asks` has `at` (timestamp), a text column per entity, named like it, and
    maybe fields of the event for the transforms. What counts is what was known
    at `at`; with `as_known` false, what happened until then.
    """
    asked = _asked(feature_set.stream.schema, asks)
    features = _at(feature_set, asked, as_known=as_known, report=report)
    table = asks
    for name, column in features.items():
        table = table.append_column(name, column)
    _write(table, target)
    report(100)
    return Built(table.num_rows, ())


def served_again(feature_set: FeatureSet, asks: Sequence[Again]) -> list[dict[str, Any]]:
    """What the set's features were at each served event, by name."""
    schema = feature_set.stream.schema
    columns: dict[str, list[Any]] = {
        "at": [ask.at for ask in asks],
        "known": [ask.known for ask in asks],
        "event_id": [ask.event_id for ask in asks],
    }
    for field in schema.fields:
        columns[f"field {field.name}"] = [ask.event.get(field.name) for ask in asks]
    for entity in schema.entities:
        columns[f"entity {entity}"] = [ask.keys.get(entity) for ask in asks]
    features = _at(feature_set, Asked.of(schema, columns), as_known=True, report=_silent)
    lists = {name: column.to_pylist() for name, column in features.items()}
    return [{name: values[i] for name, values in lists.items()} for i in range(len(asks))]


def backfill(version: FeatureViewVersion, *, since: datetime, until: datetime) -> pa.Table:
    """A version's features of each event of [since, until): event_id, event_time, features."""
    chunks = list(_backfilled(version, since, until))
    if chunks:
        return pa.concat_tables(chunks)
    view, nothing = version.compiled, np.empty(0, np.int64)
    fields = {name: np.empty(0) for name in view.schema.kinds}
    return _filled(view, _blank(view, 0), pa.array([], pa.string()), nothing, fields)


def backfill_to(
    version: FeatureViewVersion, *, since: datetime, until: datetime, target: Path
) -> int:
    """The same into a Parquet file, entity by entity, in bounded memory; gives the rows."""
    rows = 0
    writer: pq.ParquetWriter | None = None
    with paths.replacing(target) as scratch:
        for chunk in _backfilled(version, since, until):
            writer = writer or pq.ParquetWriter(scratch, chunk.schema, compression="zstd")
            writer.write_table(chunk)
            rows += chunk.num_rows
        if writer is not None:
            writer.close()
    return rows


def _backfilled(
    version: FeatureViewVersion, since: datetime, until: datetime
) -> Iterator[pa.Table]:
    view, stream = version.compiled, version.view.stream
    bounds = Bounds(microseconds(since), microseconds(until))
    files = snapshot(stream, since=bounds.since - view.reach, until=bounds.until)
    spells = Spells(label_log.intervals(stream) if view.reads_labels else None)
    with duckdb_connection() as connection:
        scan = Scan(connection, stream.schema, files, spells)
        if view.entity is None:
            for asked in scan.event_chunks(bounds, fields=view.fields):
                yield _filled(view, {}, asked.ids, asked.time, asked.fields)
            return
        for chunk in scan.entities(view, bounds, with_ids=True):
            computed = windows.compute(view, chunk.events, chunk.positives, chunk.asks)
            yield _filled(view, computed, chunk.ask_ids(), chunk.asks.time, chunk.ask_fields())


def _filled(
    view: View,
    computed: Columns,
    ids: pa.Array,
    time: windows.Ints,
    fields: Mapping[str, windows.Column],
) -> pa.Table:
    done = finish(view, computed, {**fields, EVENT_TIME: time}, len(time))
    features = {name: as_arrow(view, name, done[name]) for name in view.names}
    return pa.table({"event_id": ids, "event_time": pa.array(time).cast(_TIME), **features})


def _of_events(scan: Scan, view: View, bounds: Bounds, asked: Asked) -> Iterator[Placed]:
    """The events in bounds as asks; `asked` is sorted by seq."""
    if view.entity is not None:
        for chunk in scan.entities(view, bounds):
            yield chunk, np.searchsorted(asked.seq, chunk.asks.seq)


def _of_moments(scan: Scan, view: View, bounds: Bounds, asked: Asked) -> Iterator[Placed]:
    if view.entity is not None:
        for chunk in scan.moments(view, asked, bounds):
            yield chunk, chunk.ask_rows


def _computed(view: View, asked: Asked, places: Iterable[Placed], *, as_known: bool) -> Columns:
    """The view's features in the order of `asked`."""
    computed = _blank(view, len(asked))
    for chunk, rows in places:
        found = windows.compute(view, chunk.events, chunk.positives, chunk.asks, as_known=as_known)
        _scatter(found, rows, computed)
    return finish(view, computed, {**asked.fields, EVENT_TIME: asked.time}, len(asked))


def _at(
    feature_set: FeatureSet, asked: Asked, *, as_known: bool, report: Report
) -> dict[str, pa.Array]:
    stream = feature_set.stream
    members = list(feature_set.members.select_related("version__view__stream"))
    spells = Spells(label_log.intervals(stream))
    reach = max(member.version.compiled.reach for member in members)
    since = int(asked.time.min()) - reach if len(asked) else 0
    until = int(asked.time.max()) + 1 if len(asked) else 0
    files = snapshot(stream, since=since, until=until)
    features: dict[str, pa.Array] = {}
    with duckdb_connection() as connection:
        scan = Scan(connection, stream.schema, files, spells)
        for i, member in enumerate(members):
            view = member.version.compiled
            places = _of_moments(scan, view, Bounds(since, until), asked)
            done = _computed(view, asked, places, as_known=as_known)
            features |= {name: as_arrow(view, name, done[name]) for name in member.names}
            report(5 + 90 * (i + 1) // len(members))
    return features


def _blank(view: View, rows: int) -> Columns:
    """What asks get that have no entity."""
    found: Columns = {a.name: windows.over_nothing(a, rows) for a in view.aggregations}
    for sequence in view.sequences:
        found[sequence.name] = np.full(rows, None, dtype=object)
    return found


def _scatter(found: Columns, rows: npt.NDArray[np.int64], into: Columns) -> None:
    for name, column in found.items():
        if isinstance(column, windows.Lists):
            for i, row in enumerate(rows):
                into[name][row] = column.steps[column.offsets[i] : column.offsets[i + 1]]
        else:
            into[name][rows] = column


def _asked(schema: Schema, asks: pa.Table) -> Asked:
    at = plain(asks["at"].cast(_TIME))
    columns: dict[str, list[Any]] = {
        "at": at, "known": at, "event_id": [None] * len(at)
    }  # fmt: skip
    names = set(asks.column_names)
    for field in schema.fields:
        given = field.name in names and field.name != "at"
        columns[f"field {field.name}"] = plain(asks[field.name]) if given else [None] * len(at)
    for entity in schema.entities:
        columns[f"entity {entity}"] = (
            asks[entity].to_pylist() if entity in names else [None] * len(at)
        )
    return Asked.of(schema, columns)


def _labels(
    stream: Stream, asked: Asked, spells: Spells, mature: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Whether each event is confirmed risk as known at `mature`, and whether that can be said."""
    own_known = (asked.known <= mature) & ~np.isnan(asked.label)
    labels = ((asked.label == 1) & own_known).astype(np.int8)
    has_label = own_known
    for row, word in spells.at(asked.ids, mature):
        labels[row], has_label[row] = word, True
    old = asked.time <= mature - int(stream.label_delay_days * DAY)
    return labels, has_label | old


def _notes(
    stream: Stream, asked: Asked, usable: npt.NDArray[np.bool_], *, as_known: bool
) -> tuple[str, ...]:
    notes = []
    left_out = int((~usable).sum())
    if left_out:
        notes.append(
            f"{left_out:,} events without a label are younger than {stream.label_delay_days:g}"
            " days and were left out."
        )
    late = float(np.mean(asked.known - asked.time > DAY)) if len(asked) else 0.0
    if as_known and late > 0.5:  # noqa: PLR2004 - most of them
        notes.append(
            f"{late:.0%} of the events were known more than a day after they happened, so features"
            " may hardly see their past: was history loaded without --history?"
        )
    return tuple(notes)


def _write(table: pa.Table, target: Path) -> None:
    with paths.replacing(target) as scratch:
        pq.write_table(table, scratch, compression="zstd")
