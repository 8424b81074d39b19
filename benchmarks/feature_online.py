"""The online store on the handbook's data: events one by one, and the features at each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.feature_data import (
    TOLERANCE,
    actor,
    build,
    define,
    load_log,
    logged_events,
    names,
)

COMPARED = 200_000


def online_part(data: Path) -> dict[str, float]:
    """Events one by one, and for the last ones the features at each, as served."""
    from features import online
    from features.services import sets

    versions = define("handbook_online", live=True)
    stream = versions[0].view.stream
    first = pq.read_table(data / "features_first_75_days.parquet", columns=list(names()))
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
