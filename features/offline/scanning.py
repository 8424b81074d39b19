"""Reading the log: DuckDB finds, sorts and streams, and spills to disk when it must."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from django.conf import settings

from features.ml.definition import View
from features.ml.schema import EVENT_TIME, Schema
from features.offline.chunks import CHUNK, Chunk, Chunker
from features.offline.rows import Asked, Bounds, Spells, columns_of, floats, ints

BATCH = 100_000


@contextmanager
def duckdb_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB within the configured limits, which spills below the feature root."""
    Path(settings.FEATURE_ROOT).mkdir(parents=True, exist_ok=True)
    spill = tempfile.mkdtemp(prefix=".spill-", dir=settings.FEATURE_ROOT)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.FEATURES.offline_memory,
        "threads": settings.FEATURES.offline_threads,
        "temp_directory": spill,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    finally:
        shutil.rmtree(spill, ignore_errors=True)


class Scan:
    """Reads one stream's files."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, schema: Schema, paths: Sequence[str],
        spells: Spells,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._schema = schema
        self._paths = list(paths)
        self._spells = spells

    def events(self, bounds: Bounds, *, fields: Iterable[str]) -> Asked:
        """The events of a stretch of time, in the order of arrival."""
        names = sorted(set(fields) - {EVENT_TIME})
        query = f"{self._events_query(bounds, names)} ORDER BY _s"
        return self._row(self._connection.sql(query).to_arrow_table(), names)

    def event_chunks(self, bounds: Bounds, *, fields: Iterable[str]) -> Iterator[Asked]:
        """The same in any order, some at a time."""
        names = sorted(set(fields) - {EVENT_TIME})
        reader = self._connection.sql(self._events_query(bounds, names)).to_arrow_reader(CHUNK)
        for batch in reader:
            yield self._row(pa.Table.from_batches([batch]), names)

    def _events_query(self, bounds: Bounds, names: Sequence[str]) -> str:
        return f"""
            SELECT _event_id AS _id, {_OWN}, {self._label()} AS _label
              {_selected(self._schema, names)}
            FROM {self._source()} WHERE {_within(bounds)}"""  # noqa: S608 - our own names

    def _row(self, table: pa.Table, names: Sequence[str]) -> Asked:
        return Asked(
            ids=table["_id"].combine_chunks(),
            time=ints(table["_t"]),
            known=ints(table["_k"]),
            seq=ints(table["_s"]),
            label=floats(table["_label"]),
            fields=columns_of(self._schema, table, names),
        )

    def entities(self, view: View, bounds: Bounds, *, with_ids: bool = False) -> Iterator[Chunk]:
        """Chunks in which each event of `bounds` is an ask."""
        names = sorted(view.fields - {EVENT_TIME})
        needs_ids = with_ids or (view.reads_labels and bool(self._spells))
        key = f'"{view.entity_field}"'
        query = f"""
            SELECT {key} AS _key, {_OWN}, {"_event_id" if needs_ids else "NULL"}::VARCHAR AS _id,
              {self._label() if view.reads_labels else "NULL"}::DOUBLE AS _label, true AS _is_event,
              _t >= {bounds.since} AS _is_ask, 0::BIGINT AS _row{_selected(self._schema, names)}
            FROM {self._source()}
            WHERE {key} IS NOT NULL AND {_within(Bounds(bounds.since - view.reach, bounds.until))}
            ORDER BY _key, _t, _k, _s"""  # noqa: S608 - names of the schema's form, our own numbers
        reader = self._connection.sql(query).to_arrow_reader(BATCH)
        yield from Chunker(view, names, self._spells).chunks(reader)

    def moments(self, view: View, asked: Asked, bounds: Bounds) -> Iterator[Chunk]:
        """Chunks in which each of `asked` is an ask; its `event_id` names its own event."""
        names = sorted(view.fields - {EVENT_TIME})
        rows = {
            "_key": asked.keys[str(view.entity)],
            "_t": asked.time, "_k": asked.known, "_s": asked.seq, "_id": asked.ids,
            "_row": np.arange(len(asked)),
            **{name: asked.fields[name] for name in names},
        }  # fmt: skip
        asks = pa.table({name: pa.array(values, from_pandas=True) for name, values in rows.items()})
        self._connection.register("asks", asks)
        own = "".join(f', "{name}"' for name in names)
        query = f"""
            SELECT "{view.entity_field}"::VARCHAR AS _key, {_OWN}, _event_id AS _id,
              {self._label()}::DOUBLE AS _label, true AS _is_event, false AS _is_ask,
              -1::BIGINT AS _row{_selected(self._schema, names)}
            FROM {self._source()}
            WHERE {_within(bounds)} AND "{view.entity_field}"::VARCHAR IN (SELECT _key FROM asks)
            UNION ALL
            SELECT _key::VARCHAR, _t, _k, _s, _id::VARCHAR, NULL, false, true, _row{own}
            FROM asks WHERE _key IS NOT NULL
            ORDER BY _key, _t, _k, _s"""  # noqa: S608 - names of the schema's form, our own numbers
        reader = self._connection.sql(query).to_arrow_reader(BATCH)
        yield from Chunker(view, names, self._spells).chunks(reader)

    def _source(self) -> str:
        if not self._paths:
            return f"({_no_rows(self._schema)})"
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in self._paths)
        return f"read_parquet([{listed}], union_by_name = true)"

    def _label(self) -> str:
        return f'"{self._schema.label}"::INT::DOUBLE' if self._schema.label else "NULL::DOUBLE"


_OWN = "epoch_us(_event_time) AS _t, epoch_us(_known_time) AS _k, _seq AS _s"


def _within(bounds: Bounds) -> str:
    return (
        f"_event_time >= make_timestamptz({bounds.since})"
        f" AND _event_time < make_timestamptz({bounds.until})"
    )


def _selected(schema: Schema, names: Sequence[str]) -> str:
    """Fields as numbers where they are numbers: booleans 0/1, times microseconds."""
    casts = {
        "numeric": '"{0}"::DOUBLE', "boolean": '"{0}"::INT::DOUBLE', "category": '"{0}"',
        "time": 'epoch_us("{0}")',
    }  # fmt: skip
    return "".join(
        f', {casts[schema.by_name[name].kind].format(name)} AS "{name}"' for name in names
    )


def _no_rows(schema: Schema) -> str:
    types = {
        "number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN", "text": "VARCHAR",
        "time": "TIMESTAMPTZ",
    }  # fmt: skip
    fields = "".join(f', NULL::{types[f.type]} AS "{f.name}"' for f in schema.fields)
    return (
        "SELECT NULL::VARCHAR AS _event_id, NULL::TIMESTAMPTZ AS _event_time,"
        f" NULL::TIMESTAMPTZ AS _known_time, NULL::BIGINT AS _seq{fields} WHERE false"
    )
