"""What people do with historical features: ask for them, and look at what came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from django.conf import settings
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import transaction

from aegisml.base import audit, paths
from aegisml.base.errors import Conflict, FieldError, Invalid, NotFound
from features import tasks
from features.choices import RunStatus
from features.models import FeatureSet, HistoricalJob
from features.services.asking import checked_rows
from features.services.stretches import stretch_problems

if TYPE_CHECKING:
    import pyarrow as pa

MAX_SHOWN = 1000


@dataclass(frozen=True)
class Asked:
    """Either all events of the set's stream in [since, until), or rows of moments and keys (see
    `asking.checked_rows`). With `as_known` false features see what was known only later."""

    feature_set: FeatureSet
    since: datetime | None = None
    until: datetime | None = None
    rows: Sequence[Any] | None = None
    as_known: bool = True


@dataclass(frozen=True)
class FirstRows:
    """The beginning of a job's file: column names, and rows of values by column."""

    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]


@transaction.atomic
def request(*, actor: User, asked: Asked) -> HistoricalJob:
    """Queue the computing of what is asked. Raises `Invalid` naming each wrong part."""
    content = _by_rows(asked) if asked.rows is not None else _by_stretch(asked)
    job = HistoricalJob.objects.create(
        feature_set=asked.feature_set,
        request={**content, "as_known": asked.as_known},
        requested_by=actor,
    )
    what = f"Asked for {asked.feature_set} {_in_words(content)}."
    audit.record(actor=actor, row=job, what=what, flag=ADDITION)
    transaction.on_commit(lambda: tasks.build_historical.delay(str(job.pk)), robust=True)
    return job


def first_rows(*, job: HistoricalJob, limit: int) -> FirstRows:
    """The first `limit` rows (1 to 1000) of a finished job's file, in the order of the file.

    Raises `Conflict` when the job has none, `NotFound` when the file is gone.
    """
    if not 1 <= limit <= MAX_SHOWN:
        raise Invalid.field("limit", f"must be a whole number from 1 to {MAX_SHOWN}")
    if job.status != RunStatus.SUCCEEDED:
        status = RunStatus(job.status).label.lower()
        raise Conflict(f"The job has no rows to show: it is {status}. {job.error}".strip())
    try:
        with paths.open_below(settings.DATA_ROOT, job.output_path, field="output_path") as file:
            table = _head(file, limit)
    except (Invalid, FileNotFoundError):
        raise NotFound(f"The file {job.output_path} is gone.") from None
    return FirstRows(table.column_names, table.to_pylist())


def _head(file: BinaryIO, limit: int) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - few requests need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    parquet = pq.ParquetFile(file)
    first = islice(parquet.iter_batches(batch_size=limit), 1)
    return pa.Table.from_batches(first, schema=parquet.schema_arrow)


def _by_rows(asked: Asked) -> dict[str, Any]:
    beside = {"from": asked.since, "to": asked.until}
    if extra := [name for name, value in beside.items() if value is not None]:
        text = "can't be given together with rows: ask for one or the other"
        raise Invalid.fields(FieldError(name, text) for name in extra)
    rows = checked_rows(feature_set=asked.feature_set, rows=asked.rows or ())
    return {"rows": rows, "count": len(rows)}


def _by_stretch(asked: Asked) -> dict[str, Any]:
    since, until = asked.since, asked.until
    if since is None and until is None:
        raise Invalid.field("rows", "give rows, or from and to")
    if since is None or until is None:
        raise Invalid.field("from" if since is None else "to", "is required with the other")
    if problems := list(stretch_problems(since, until)):
        raise Invalid.fields(problems)
    return {"from": since.isoformat(), "to": until.isoformat()}


def _in_words(content: dict[str, Any]) -> str:
    if "rows" in content:
        return f"at {content['count']:,} moments"
    return f"from {content['from']} to {content['to']}"
