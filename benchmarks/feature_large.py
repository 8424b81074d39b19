"""The offline store on a synthetic log that is larger than memory."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.feature_data import define, peak_mb


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
