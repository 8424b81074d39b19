"""The rows of a study: read, or built from its stream, once on each machine, for all trials."""

import fcntl
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pyarrow as pa
import structlog
from django.conf import settings

from aegisml.base import ids, paths
from training import datasets, fingerprints
from training.ml import loading, reading
from training.ml.errors import TrainingError
from training.ml.request import Reporter
from training.models import Study, TrainingJob

log = structlog.get_logger(__name__)

_LOOK = 0.1  # seconds between two tries to be the one who reads
_ROWS, _ABOUT = "rows.arrow", "about.json"


@dataclass(frozen=True)
class Rows:
    """The rows, while they are open; `name` and `origin` are what requests say about them."""

    table: pa.Table
    digest: str
    name: str
    origin: Mapping[str, Any]


class Building:
    """Tells a trial's reporter of the building of a training set."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.log = report.log

    def building(self, percent: int) -> None:
        self._report.step("build training set", percent // 10)


@contextmanager
def opened(study: Study, report: Reporter) -> Iterator[Rows]:
    """The study's rows, read by the first trial that comes.

    Raises what `training.datasets.opened` raises.
    """
    folder = folder_of(study.pk)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _only_one(folder, report):
            if not (folder / _ABOUT).exists():
                _make(study, folder, report)
    except TrainingError as error:
        if error.field == reading.FIELD:  # of a stream there is no such field in the request
            raise TrainingError(study.training().source_field, error.message) from error
        raise
    about = json.loads((folder / _ABOUT).read_text())
    with loading.mapped(folder / _ROWS) as table:
        yield Rows(table, about["digest"], about["name"], about["origin"])


def discard(study_id: UUID) -> None:
    """Delete a study's rows: it is over. A trial that still has them open goes on."""
    shutil.rmtree(folder_of(study_id), ignore_errors=True)


def clear_leftovers() -> int:
    """Delete the rows of studies that are over, or unknown; gives how many studies."""
    # listed before the studies are asked: a folder that is listed was made by one that had begun
    folders = [path for path in _root().glob("*") if path.is_dir()]
    going = set(Study.objects.open().values_list("pk", flat=True))
    gone = [path for path in folders if ids.parse_uuid(path.name) not in going]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def folder_of(study_id: UUID) -> Path:
    return _root() / str(study_id)


def _root() -> Path:
    return Path(settings.FEATURE_ROOT) / "studies"


@contextmanager
def _only_one(folder: Path, report: Reporter) -> Iterator[None]:
    """Hold the folder alone; the lock of a worker that dies is gone with it."""
    with (folder / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report.tick()
                time.sleep(_LOOK)
        yield


def _make(study: Study, folder: Path, report: Reporter) -> None:
    job = study.training()
    with _source(job, folder, report) as (file, name, origin):
        digest = reading.fingerprint(file)
        with paths.replacing(folder / _ROWS) as target:
            loading.convert(
                file,
                name=name,
                max_bytes=settings.TRAINING.max_dataset_bytes,
                target=target,
                tick=report.tick,
            )
    with paths.replacing(folder / _ABOUT) as target:  # last: it says that the rows are there
        target.write_text(json.dumps({"digest": digest, "name": name, "origin": origin}))


@contextmanager
def _source(
    job: TrainingJob, folder: Path, report: Reporter
) -> Iterator[tuple[BinaryIO, str, Mapping[str, Any]]]:
    if job.feature_set is None:
        with paths.open_below(settings.DATA_ROOT, job.dataset_path, field="dataset_path") as file:
            if not fingerprints.is_same(job.fingerprint, file):
                raise TrainingError("dataset_path", datasets.REPLACED)
            yield file, job.dataset_path, {"path": job.dataset_path}
        return
    built = folder / "set.parquet"
    origin = datasets.build(job, job.feature_set, built, Building(report))
    try:
        with built.open("rb") as file:
            yield file, built.name, origin
    finally:
        built.unlink(missing_ok=True)  # its rows are in the other file
