"""One measured part of `benchmarks.features`: prints its figures as JSON on the last line."""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DAYS = (1, 7, 30)
DAY = 86_400
SCHEMA = {
    "event_id": "TRANSACTION_ID",
    "event_time": "TX_DATETIME",
    "label": "TX_FRAUD",
    "entities": {"customer": "CUSTOMER_ID", "terminal": "TERMINAL_ID"},
    "fields": [
        {"name": "TRANSACTION_ID", "type": "integer", "required": True},
        {"name": "TX_DATETIME", "type": "time", "required": True},
        {"name": "CUSTOMER_ID", "type": "integer", "required": True},
        {"name": "TERMINAL_ID", "type": "integer", "required": True},
        {"name": "TX_AMOUNT", "type": "number", "required": True},
        {"name": "TX_FRAUD", "type": "integer"},
    ],
}
# the handbook's column by the feature's name
GOLDEN = {
    **{f"customer_count_{d}d": f"CUSTOMER_ID_NB_TX_{d}DAY_WINDOW" for d in DAYS},
    **{f"customer_mean_{d}d": f"CUSTOMER_ID_AVG_AMOUNT_{d}DAY_WINDOW" for d in DAYS},
    **{f"terminal_count_{d}d": f"TERMINAL_ID_NB_TX_{d}DAY_WINDOW" for d in DAYS},
    **{f"terminal_risk_{d}d": f"TERMINAL_ID_RISK_{d}DAY_WINDOW" for d in DAYS},
    "weekend": "TX_DURING_WEEKEND",
    "night": "TX_DURING_NIGHT",
}
VIEWS: dict[str, tuple[str | None, list[dict[str, Any]]]] = {
    "customer_activity": (
        "customer",
        [
            *({"name": f"customer_count_{d}d", "aggregate": "count", "window": f"{d}d"}
              for d in DAYS),
            *({"name": f"customer_mean_{d}d", "aggregate": "mean", "of": "TX_AMOUNT",
               "window": f"{d}d"} for d in DAYS),
        ],
    ),
    "terminal_risk": (
        "terminal",
        [
            *({"name": f"terminal_count_{d}d", "aggregate": "count", "window": f"{d}d",
               "lag": "7d"} for d in DAYS),
            *({"name": f"terminal_risk_{d}d", "aggregate": "label_rate", "window": f"{d}d",
               "lag": "7d", "default": 0} for d in DAYS),
        ],
    ),
    "moment": (
        None,
        [
            {"name": "weekend", "expression": "is_weekend(event_time)"},
            {"name": "night", "expression": "is_night(event_time)"},
        ],
    ),
}  # fmt: skip
COMPARED = 200_000
TOLERANCE = 1e-9


def main() -> None:
    part, data, events = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if part == "numpy":
        found = by_hand(data)
    else:
        os.environ["DJANGO_SETTINGS_MODULE"] = "aegisml.settings"
        import django

        django.setup()
        found = large_part(events) if part == "large" else PARTS[part](data)
    print(json.dumps(found))


# --- the parts ---------------------------------------------------------------------


def offline_part(data: Path) -> dict[str, float]:
    from features import offline

    versions = define("handbook_offline")
    load_log(versions[0].view.stream, transactions(data))
    since, until = datetime(2018, 4, 1, tzinfo=UTC), datetime(2018, 12, 1, tzinfo=UTC)
    started = time.perf_counter()
    tables = [offline.backfill(version, since=since, until=until) for version in versions]
    seconds = time.perf_counter() - started
    peak = peak_mb()
    golden = pq.read_table(data / "features_first_75_days.parquet").sort_by("TRANSACTION_ID")
    equal = np.ones(len(golden), dtype=bool)
    for table in tables:
        ids = table["event_id"].cast(pa.int64()).to_numpy()
        order = np.argsort(ids)[: len(golden)]
        for name in set(table.column_names) & GOLDEN.keys():
            got = table[name].cast(pa.float64()).to_numpy()[order]
            wanted = golden[GOLDEN[name]].cast(pa.float64()).to_numpy()
            equal &= np.isclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    return {"equal": 100 * float(equal.mean()), "seconds": seconds, "peak_mb": peak}


def online_part(data: Path) -> dict[str, float]:
    """Events one by one, and for the last ones the features at each, as served."""
    from features import online
    from features.services import sets

    versions = define("handbook_online", live=True)
    stream = versions[0].view.stream
    first = pq.read_table(data / "features_first_75_days.parquet", columns=list(_names()))
    rows = first.sort_by("TRANSACTION_ID")
    load_log(stream, rows)
    feature_set = sets.create_set(
        actor=actor(), name="handbook", members=[{"view": str(v)} for v in versions]
    )
    build(versions)
    logged = list(logged_events(rows))
    for event in logged[:-COMPARED]:
        online.feed(stream, [event])
    last = logged[-COMPARED:]
    replayed = replay(stream, online.Plan.of(feature_set), last)
    started = time.perf_counter()
    for i in range(0, len(last), 1000):
        online.feed(stream, last[i : i + 1000])
    batched = COMPARED / (time.perf_counter() - started)
    times = np.sort(replayed.reads) * 1000
    return {
        "events": len(logged),
        "asks": COMPARED,
        "disagreeing": disagreeing(versions, last, replayed.served),
        "updates": COMPARED / replayed.writing,
        "batched": batched,
        "p50_ms": float(times[len(times) // 2]),
        "p99_ms": float(times[int(len(times) * 0.99)]),
        "round_trips": replayed.round_trips,
        "ingested": ingested_per_second(stream, rows.slice(0, 20_000)),
    }


@dataclass
class Replayed:
    """What each event's ask was answered, and how long reading and writing took (seconds)."""

    served: list[dict[str, Any]] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    writing: float = 0.0
    round_trips: int = 0


def replay(stream: Any, plan: Any, events: Sequence[Any]) -> Replayed:
    """Feed each event, then read the features at it."""
    from features import online

    done, trips = Replayed(), RoundTrips()
    for event in events:
        started = time.perf_counter()
        online.feed(stream, [event])
        fed = time.perf_counter()
        fields = event.payload
        ask = online.Ask(
            at=event.event_time,
            keys={"customer": str(fields["CUSTOMER_ID"]), "terminal": str(fields["TERMINAL_ID"])},
            event=fields,
            event_id=event.event_id,
        )
        trips.before()
        [answer] = online.fetch(plan, [ask])
        done.reads.append(time.perf_counter() - fed)
        trips.after()
        done.writing += fed - started
        done.served.append(answer.values)
    done.round_trips = trips.most
    return done


def disagreeing(
    versions: Sequence[Any], events: Sequence[Any], served: Sequence[dict[str, Any]]
) -> int:
    """How many events were served another value than the offline store computes."""
    from features import offline

    start = datetime.fromtimestamp(events[0].event_time / 1e6, tz=UTC)
    place_of = {event.event_id: i for i, event in enumerate(events)}
    wrong = np.zeros(len(events), dtype=bool)
    for version in versions:
        table = offline.backfill(
            version, since=start - timedelta(seconds=1), until=start + timedelta(days=100)
        )
        places = [place_of.get(event_id) for event_id in table["event_id"].to_pylist()]
        for name in version.compiled.names:
            values = table[name].cast(pa.float64()).to_pylist()
            for place, value in zip(places, values, strict=True):
                if place is not None:
                    wrong[place] |= not same(served[place][name], value)
    return int(wrong.sum())


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(float(one) - other) <= TOLERANCE * max(1.0, abs(other))


def ingested_per_second(stream: Any, rows: pa.Table) -> float:
    """Through the checks, the log and the online store, 10,000 at a time."""
    from features.services import events

    fresh = [
        {**row, "TRANSACTION_ID": row["TRANSACTION_ID"] + 10_000_000,
         "TX_DATETIME": row["TX_DATETIME"].replace(tzinfo=UTC).isoformat()}
        for row in rows.to_pylist()
    ]  # fmt: skip
    started = time.perf_counter()
    for i in range(0, len(fresh), 10_000):
        events.ingest(
            stream=stream, rows=fresh[i : i + 10_000], actor=actor(), source="bench", history=True
        )
    return len(fresh) / (time.perf_counter() - started)


def large_part(events: int) -> dict[str, float]:
    """Synthetic payments of 1 M customers and 100,000 terminals over half a year."""
    from django.conf import settings

    from features import offline

    versions = define("large")
    stream = versions[0].view.stream
    write_synthetic(stream, events)
    target = Path(settings.FEATURE_ROOT) / "backfill.parquet"
    since, until = datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)
    started = time.perf_counter()
    for version in versions:
        rows = offline.backfill_to(version, since=since, until=until, target=target)
        assert rows == events, (rows, events)
    return {
        "events": events, "seconds": time.perf_counter() - started, "peak_mb": peak_mb()
    }  # fmt: skip


def by_hand(data: Path) -> dict[str, float]:
    """The 14 columns as one would write them for this file alone, from Parquet to arrays."""
    started = time.perf_counter()
    table = pq.read_table(data / "transactions.parquet", columns=list(_names()))
    second = table["TX_DATETIME"].cast(pa.int64()).to_numpy() // 1_000_000_000
    amount = table["TX_AMOUNT"].to_numpy()
    fraud = table["TX_FRAUD"].to_numpy().astype(np.float64)
    found = {}
    for key, values, lag in (
        ("CUSTOMER_ID", amount, 0), ("TERMINAL_ID", fraud, 7 * DAY)
    ):  # fmt: skip
        code = table[key].to_numpy().astype(np.int64)
        order = np.lexsort((second, code))
        line = code[order] * 2**32 + second[order]
        totals = np.concatenate([[0.0], np.cumsum(values[order])])
        end = np.searchsorted(line, line - lag, "right") if lag else np.arange(len(line)) + 1
        for days in DAYS:
            start = np.minimum(np.searchsorted(line, line - lag - days * DAY, "right"), end)
            count = end - start
            for name, result in (
                ("count", count), ("mean", (totals[end] - totals[start]) / np.maximum(count, 1))
            ):  # fmt: skip
                column = np.empty(len(line))
                column[order] = result
                found[f"{key} {name} {days}"] = column
    day = second // DAY
    found["weekend"] = (day + 3) % 7 >= 5
    found["night"] = second % DAY // 3600 <= 6
    return {"seconds": time.perf_counter() - started, "columns": len(found)}


# --- what they share ---------------------------------------------------------------


def define(name: str, *, live: bool = False) -> list[Any]:
    from features.models import FeatureViewVersion
    from features.services import streams, views

    stream = streams.create_stream(actor=actor(), name=name, definition=SCHEMA)
    versions = []
    for view, (entity, features) in VIEWS.items():
        version = views.define_view(
            actor=actor(),
            name=f"{name}_{view}",
            stream=stream,
            entity=entity_named(entity),
            definition={"features": features},
        )
        if live:
            version = views.promote(version=version, actor=actor(), reason="benchmark")
        versions.append(
            FeatureViewVersion.objects.select_related("view__stream").get(pk=version.pk)
        )
    return versions


def entity_named(name: str | None) -> Any:
    from features.models import Entity
    from features.services import views

    if name is None:
        return None
    found = Entity.objects.filter(name=name).first()
    return found or views.create_entity(actor=actor(), name=name)


def actor() -> Any:
    from aegisml.base import audit

    return audit.system_user()


def build(versions: Sequence[Any]) -> None:
    """Mark each version's state complete: there is nothing before the replay."""
    from features.jobs import materializing, runs
    from features.models import EventSegment

    stream = versions[0].view.stream
    kept = list(EventSegment.objects.filter(stream=stream))
    EventSegment.objects.filter(stream=stream).delete()
    for version in versions:
        if version.view.entity is not None:
            materializing.run(str(runs.request(version, reason="benchmark").pk))
    EventSegment.objects.bulk_create(kept)


def _names() -> tuple[str, ...]:
    return tuple(row["name"] for row in SCHEMA["fields"])


def transactions(data: Path) -> pa.Table:
    return pq.read_table(data / "transactions.parquet", columns=list(_names()))


def load_log(stream: Any, rows: pa.Table) -> None:
    """Write the file's rows into the log as history, without the checks of the ingest path."""
    from features.log import files
    from features.models import EventSegment

    at = rows["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    wanted = files.arrow_schema(stream.schema)
    columns = {
        "_event_id": rows["TRANSACTION_ID"].cast(pa.string()),
        "_event_time": at,
        "_known_time": at,
        "_seq": pc.add(rows["TRANSACTION_ID"].cast(pa.int64()), 1),
        **{name: rows[name] for name in _names()},
        "TX_DATETIME": at,
    }
    table = pa.table({one.name: columns[one.name].cast(one.type) for one in wanted})
    EventSegment.objects.bulk_create(files.write_days(stream, table))


def write_synthetic(stream: Any, events: int) -> None:
    import duckdb

    from features.log import files
    from features.log.events import moment
    from features.models import EventSegment

    days = 180
    a_day = events // days
    first = date(2018, 1, 1)
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        done = 0
        for i in range(days):
            count = a_day if i < days - 1 else events - done
            day = first + timedelta(days=i)
            folder = files.folder(stream, day)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{uuid4()}.parquet"
            connection.execute(
                f"""COPY (
                  SELECT (n + {done})::VARCHAR AS _event_id, at AS _event_time, at AS _known_time,
                    n + {done} AS _seq, n + {done} AS TRANSACTION_ID, at AS TX_DATETIME,
                    hash(n + {done}) % 1000000 AS CUSTOMER_ID,
                    hash(n + {done} + 7) % 100000 AS TERMINAL_ID,
                    round((hash(n + {done} + 13) % 20000) / 100.0, 2) AS TX_AMOUNT,
                    (hash(n + {done} + 29) % 1000 < 8)::BIGINT AS TX_FRAUD
                  FROM (SELECT n, make_timestamptz(
                      (epoch_us(TIMESTAMPTZ '{day} 00:00:00+00')
                       + n * (86400000000 // {count}))::BIGINT) AS at
                    FROM range({count}) r(n))
                ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"""
            )
            start = moment(
                int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**6
            )
            EventSegment.objects.create(
                stream=stream, day=day, path=str(path.relative_to(files.absolute(""))), rows=count,
                bytes=path.stat().st_size, min_event_time=start,
                max_event_time=start + timedelta(days=1) - timedelta(microseconds=1),
                max_known_time=start + timedelta(days=1), max_seq=done + count,
            )  # fmt: skip
            done += count


def logged_events(table: pa.Table) -> Iterator[Any]:
    """The file's rows as the log gives them, in their order."""
    from features.log import Logged

    at = table["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.int64())
    for i, row in enumerate(table.append_column("at", at).to_pylist()):
        payload = {name: row[name] for name in _names()} | {"TX_DATETIME": row["at"]}
        yield Logged(
            seq=i + 1,
            event_id=str(row["TRANSACTION_ID"]),
            event_time=row["at"],
            known_time=row["at"],
            payload=payload,
        )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class RoundTrips:
    """Counts what the store's client sends while a read is at work."""

    def __init__(self) -> None:
        from features.online import client

        self.most = 0
        self._count = 0
        exchange = client._once

        def counted(*arguments: Any) -> Any:
            self._count += 1
            return exchange(*arguments)

        client._once = counted

    def before(self) -> None:
        self._count = 0

    def after(self) -> None:
        self.most = max(self.most, self._count)


PARTS = {"offline": offline_part, "online": online_part}

if __name__ == "__main__":
    main()
