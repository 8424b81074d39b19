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

from aegisml.base import ids, paths
from features import offline
from features.models import FeatureSet
from training import fingerprints, requests
from training.ml import reading
from training.ml.columns import BESIDE
from training.ml.errors import TrainingError
from training.models import TrainingJob

log = structlog.get_logger(__name__)

REPLACED = "the file was replaced after the job was requested; run it again on the new one"
_UUID = 36  # characters


class Reporter(Protocol):
    """Where building tells how far it is. Each call may raise `Cancelled`."""

    def building(self, percent: int) -> None: ...
    def log(self, line: str) -> None: ...


@dataclass(frozen=True)
class Dataset:
    """An open file whose format `name` tells; `origin` is what lineage says about it, `scratch` a
    folder that is gone afterwards."""

    file: BinaryIO
    name: str
    origin: Mapping[str, Any]
    scratch: Path


@contextmanager
def opened(job: TrainingJob, report: Reporter) -> Iterator[Dataset]:
    """The job's data; what was built for it is gone afterwards.

    Raises `Invalid` when the file is gone, `TrainingError` when it isn't the one that the
    request was about, or the stream has no event to train on.
    """
    folder = _folder(job)
    try:
        with _opened(job, folder, report) as (file, name, origin):
            yield Dataset(file, name, origin, folder)
    except TrainingError as error:
        if error.field == reading.FIELD:  # of a stream there is no such field in the request
            raise TrainingError(job.source_field, error.message) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(
    job: TrainingJob, folder: Path, report: Reporter
) -> Iterator[tuple[BinaryIO, str, Mapping[str, Any]]]:
    if job.feature_set is None:
        with paths.open_below(settings.DATA_ROOT, job.dataset_path, field="dataset_path") as file:
            if not fingerprints.is_same(job.fingerprint, file):
                raise TrainingError("dataset_path", REPLACED)
            folder.mkdir(parents=True)
            yield file, job.dataset_path, {"path": job.dataset_path}
        return
    target = folder / "set.parquet"
    origin = build(job, job.feature_set, target, report)
    with target.open("rb") as file:
        yield file, target.name, origin


def discard(job: TrainingJob) -> None:
    """Delete what was built for a job that this worker has."""
    shutil.rmtree(_folder(job), ignore_errors=True)


def clear_leftovers() -> int:
    """Delete what killed workers left behind; gives how many folders."""
    # listed before the jobs are asked: a folder that is listed was made by a job that had begun
    folders = [path for path in _root().glob("*-*") if path.is_dir()]
    active = set(TrainingJob.objects.active().values_list("pk", "fence"))
    gone = [path for path in folders if _owner(path.name) not in active]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _owner(name: str) -> tuple[Any, int]:
    job, fence = name[:_UUID], name[_UUID + 1 :]
    return ids.parse_uuid(job), int(fence) if fence.isdecimal() else -1


def _root() -> Path:
    return Path(settings.FEATURE_ROOT) / "training"


def _folder(job: TrainingJob) -> Path:
    return _root() / f"{job.pk}-{job.fence}"


def build(
    job: TrainingJob, feature_set: FeatureSet, target: Path, report: Reporter
) -> dict[str, Any]:
    """Write the set of a job on a stream to `target`; gives what lineage says about it.

    Raises `TrainingError` when that fails, or there is no event to train on.
    """
    if job.since is None or job.until is None or job.mature_at is None:
        raise TypeError("a claimed job on a stream has since, until and mature_at")
    report.building(0)
    mature_at = job.mature_at  # of the first attempt: what goes on must go on with the same rows
    try:
        built = offline.training_set(
            feature_set,
            since=job.since,
            until=job.until,
            target=target,
            mature_at=mature_at,
            beside=[name.removeprefix(BESIDE) for name in requests.evaluation(job).names],
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
