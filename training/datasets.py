"""What a worker trains on: the file of the request, or one built from a stream for the job."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import duckdb
import pyarrow as pa
import structlog
from django.conf import settings
from django.utils import timezone

from aegisml.base import ids, paths
from features import offline
from features.models import FeatureSet
from training.ml import reading
from training.ml.errors import TrainingError
from training.models import TrainingJob

log = structlog.get_logger(__name__)

STEP = "build training set"
SHARE = 30  # percent of the job that building takes
LABEL, TIME = "label", "event_time"
_UUID = 36  # characters


class Reporter(Protocol):
    """Where building tells how far it is. Each call may raise `Cancelled`."""

    def building(self, percent: int) -> None: ...
    def log(self, line: str) -> None: ...


@dataclass(frozen=True)
class Dataset:
    """An open file whose format `name` tells; `origin` is what lineage says about it."""

    file: BinaryIO
    name: str
    origin: Mapping[str, Any]


@contextmanager
def opened(job: TrainingJob, report: Reporter) -> Iterator[Dataset]:
    """The job's data; what was built for it is gone afterwards.

    Raises `Invalid` when the file is gone, `TrainingError` when the stream has
    no event to train on.
    """
    if job.feature_set is None:
        with paths.open_below(settings.DATA_ROOT, job.dataset_path, field="dataset_path") as file:
            yield Dataset(file, job.dataset_path, {"path": job.dataset_path})
        return
    folder = _folder() / f"{job.pk}-{job.fence}"
    try:
        target = folder / "set.parquet"
        origin = _build(job, job.feature_set, target, report)
        with target.open("rb") as file:
            yield Dataset(file, target.name, origin)
    except TrainingError as error:
        if error.field == reading.FIELD:  # there is no such field in the request
            raise TrainingError(job.source_field, error.message) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers() -> int:
    """Delete what killed workers left behind; gives how many folders."""
    # listed before the jobs are asked: a folder that is listed was made by a job that had begun
    folders = [path for path in _folder().glob("*-*") if path.is_dir()]
    active = set(TrainingJob.objects.active().values_list("pk", "fence"))
    gone = [path for path in folders if _owner(path.name) not in active]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _owner(name: str) -> tuple[Any, int]:
    job, fence = name[:_UUID], name[_UUID + 1 :]
    return ids.parse_uuid(job), int(fence) if fence.isdecimal() else -1


def _folder() -> Path:
    return Path(settings.FEATURE_ROOT) / "training"


def _build(
    job: TrainingJob, feature_set: FeatureSet, target: Path, report: Reporter
) -> dict[str, Any]:
    if job.since is None or job.until is None:
        raise TypeError("a job on a stream has since and until")  # a constraint of the table
    report.building(0)
    mature_at = timezone.now()
    try:
        built = offline.training_set(
            feature_set,
            since=job.since,
            until=job.until,
            target=target,
            mature_at=mature_at,
            report=_each_once(report.building),
        )
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        log.exception("training set not built", job=str(job.pk))
        text = f"the training set can't be built: {type(error).__name__}"
        raise TrainingError(job.source_field, text) from error
    report.log(f"Built {built.rows:,} rows of {job.source}.")
    for note in built.notes:
        report.log(note)
    if not built.rows:
        why = " ".join(("there is no event to train on.", *built.notes))
        raise TrainingError("from", why.rstrip("."))
    return {
        "stream": feature_set.stream.name,
        "feature_set": str(feature_set),
        "from": job.since.isoformat(),
        "to": job.until.isoformat(),
        "as_known": True,
        "mature_at": mature_at.isoformat(),
        "notes": list(built.notes),
    }


def _each_once(tell: Callable[[int], None]) -> Callable[[int], None]:
    last = -1

    def report(percent: int) -> None:
        nonlocal last
        if percent != last:
            last = percent
            tell(percent)

    return report
