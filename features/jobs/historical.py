"""What a worker does with a request for historical features."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from aegisml.base import leases
from features import offline
from features.choices import RunStatus
from features.log import files
from features.models import HistoricalJob
from features.models.runs import LEASE

log = structlog.get_logger(__name__)

FOLDER = "historical"  # below the data root
MAX_ATTEMPTS = 3
RENEW_EVERY = LEASE.total_seconds() / 4
KEEP_SECONDS = 24 * 3600  # what a killed worker left unfinished


class TakenAway(Exception):
    """Another worker has the job."""


def run(job_id: str) -> None:
    """Do one job to its end; a job that somebody else does is left alone."""
    job = HistoricalJob.objects.select_related("feature_set__stream").get(pk=job_id)
    if not job.claim():
        return
    try:
        with leases.kept(
            job.renew, status=RunStatus.RUNNING, every=RENEW_EVERY, name=f"lease of {job.pk}"
        ):
            _build(job)
    except TakenAway:
        log.info("historical features stopped", job=job_id)
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        log.exception("historical features failed", job=job_id)
        text = f"The features can't be computed: {type(error).__name__}."
        job.finish(RunStatus.FAILED, error=text)
    except SoftTimeLimitExceeded:
        limit = settings.TRAINING.job_timeout
        job.finish(RunStatus.FAILED, error=f"Stopped after the time limit of {limit} seconds.")


def due() -> list[str]:
    """The ids of jobs that wait for a worker: new ones whose message may be lost, and those
    whose worker vanished, unless that happened too often."""
    for job in HistoricalJob.objects.stalled().defer("request"):
        if job.fence >= MAX_ATTEMPTS:
            job.give_up(f"The worker died {job.fence} times; given up.")
    waiting = HistoricalJob.objects.unattended().order_by("created_at")
    return [str(pk) for pk in waiting.values_list("pk", flat=True)]


def clear_leftovers() -> int:
    """Delete files that killed workers left unfinished; gives how many."""
    before = time.time() - KEEP_SECONDS
    old = [path for path in _folder().glob(".*.parquet.*") if path.stat().st_mtime < before]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _folder() -> Path:
    return Path(settings.DATA_ROOT) / FOLDER


def _build(job: HistoricalJob) -> None:
    name = f"{job.pk}.parquet"
    asked = job.request

    def report(percent: int) -> None:
        if not job.write(progress=percent):
            raise TakenAway

    if "rows" in asked:
        built = offline.at_moments(
            job.feature_set,
            asks=_asks(job),
            target=_folder() / name,
            as_known=asked["as_known"],
            report=report,
        )
    else:
        built = offline.training_set(
            job.feature_set,
            since=datetime.fromisoformat(asked["from"]),
            until=datetime.fromisoformat(asked["to"]),
            target=_folder() / name,
            as_known=asked["as_known"],
            report=report,
        )
    done = {"output_path": f"{FOLDER}/{name}", "rows": built.rows, "notes": list(built.notes)}
    job.finish(RunStatus.SUCCEEDED, progress=100, error="", **done)


def _asks(job: HistoricalJob) -> pa.Table:
    """The rows of the request: `at`, a column per entity, and the fields that any row has."""
    schema, rows = job.feature_set.stream.schema, job.request["rows"]
    columns: dict[str, Any] = {"at": files.column("time", [row["at"] for row in rows])}
    for entity in schema.entities:
        if any(entity in row["keys"] for row in rows):
            columns[entity] = pa.array([row["keys"].get(entity) for row in rows], pa.string())
    for field in schema.fields:
        if field.name not in columns and any(field.name in row["fields"] for row in rows):
            values = [row["fields"].get(field.name) for row in rows]
            columns[field.name] = files.column(field.type, values)
    return pa.table(columns)
