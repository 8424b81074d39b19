"""What the shipper does: journal segments into the prediction table, exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import connection, transaction

from features.services import labels
from inference import journal, telemetry
from inference.models import JournalSegment

log = structlog.get_logger(__name__)

BATCH_BYTES = 4 * 1024 * 1024
SAME = (
    "arm", "features", "score", "threshold", "decision", "latency_us", "caller", "request_id",
)  # fmt: skip
COLUMNS = ("id", "created_at", "model_id", "version_id", *SAME, "context")


@dataclass(frozen=True)
class Shipped:
    """What one pass moved: records, and half lines that a killed process left."""

    records: int
    torn: int


def ship(root: Path) -> Shipped:
    """Move everything that is whole and not yet moved; delete segments that are done."""
    records = torn = 0
    for path in journal.segments(root):
        abandoned = journal.is_abandoned(path)  # asked first: what it wrote before is on disk
        while True:
            moved = _ship_batch(path)
            records += moved
            if not moved:
                break
        if abandoned:
            torn += _remove_done(path)
    if records:
        telemetry.SHIPPED.inc(records)
    if torn:
        telemetry.TORN.inc(torn)
        log.warning("half-written last lines skipped", count=torn)
    return Shipped(records, torn)


@transaction.atomic
def _ship_batch(path: Path) -> int:
    """Ship one batch and its offset in one transaction: either both are there, or none is."""
    JournalSegment.objects.get_or_create(name=path.name)
    segment = JournalSegment.objects.select_for_update().get(name=path.name)
    with path.open("rb") as file:
        file.seek(segment.shipped_bytes)
        data = file.read(BATCH_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return 0
    records = [orjson.loads(line) for line in whole.splitlines()]
    _copy([_values(record) for record in records])
    _link(records)
    segment.shipped_bytes += len(whole)
    segment.save(update_fields=["shipped_bytes", "updated_at"])
    return len(records)


def _remove_done(path: Path) -> int:
    """Delete an abandoned segment that is shipped; gives 1 if it ended in half a line."""
    segment = JournalSegment.objects.get(name=path.name)
    left = path.stat().st_size - segment.shipped_bytes
    path.unlink()  # before the row: a row without its file harms nobody
    segment.delete()
    return int(left > 0)


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    """A journal record as the columns of its row."""
    return {
        "id": UUID(record["id"]),
        "created_at": datetime.fromisoformat(record["at"]),
        "model_id": UUID(record["model"]),
        "version_id": UUID(record["version"]),
        **{name: record[name] for name in SAME},
        "context": record.get("context"),  # of raw events only
    }


def _values(record: dict[str, Any]) -> tuple[Any, ...]:
    row = row_of(record)
    for name in ("features", "context"):
        if row[name] is not None:
            row[name] = orjson.dumps(row[name]).decode()
    return tuple(row[name] for name in COLUMNS)


def _copy(rows: Sequence[tuple[Any, ...]]) -> None:
    for day in {row[1].date() for row in rows}:
        ensure_partition(day)
    names = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS shipping"
            " (LIKE inference_prediction) ON COMMIT DELETE ROWS"
        )
        with cursor.copy(f"COPY shipping ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO inference_prediction ({names}) SELECT {names} FROM shipping"  # noqa: S608
            " ON CONFLICT DO NOTHING"
        )


def _link(records: Sequence[dict[str, Any]]) -> None:
    """Tell the labels which events the predictions were about."""
    of_events = [
        (UUID(record["id"]), record["context"]["stream"], record["context"]["event_id"])
        for record in records
        if record.get("context")
    ]
    if of_events:
        labels.link(of_events)


def ensure_partition(day: date) -> None:
    """Make the day's partition if it isn't there."""
    name = f"inference_prediction_{day:%Y%m%d}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is None:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF inference_prediction"
                f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
            )
