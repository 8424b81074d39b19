"""What a training worker does with a job."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat, Right
from django.utils import timezone

from aegisml.base.errors import AegisError
from models_app import bundles
from models_app.ml import algorithms
from models_app.services import registry
from training import datasets, options
from training.choices import JobStatus
from training.ml import columns, pipeline, split
from training.ml.errors import Cancelled, TrainingError
from training.models import LOG_LIMIT, TrainingJob

log = structlog.get_logger(__name__)

WRITE_EVERY = 0.5  # seconds between two progress writes of the fit


def train(job_id: str) -> None:
    """Run one queued job to its end; a job that somebody else has is left alone."""
    rows = TrainingJob.objects.select_related("model", "requested_by", "feature_set__stream")
    job = rows.get(pk=job_id)
    if not job.claim(worker=f"{socket.gethostname()}:{os.getpid()}"):
        return
    log.info("training started", job=job_id, model=job.model.name, attempt=job.attempts)
    try:
        with _kept_alive(job) as alive:
            _run(job, alive)
    except Cancelled:
        job.finish(JobStatus.CANCELLED)
    except TrainingError as error:
        job.finish(JobStatus.FAILED, error=str(error), error_field=error.field)
    except AegisError as error:
        job.finish(JobStatus.FAILED, error=error.detail, error_field=job.source_field)
    except SoftTimeLimitExceeded:
        limit = settings.TRAINING.job_timeout
        job.finish(JobStatus.FAILED, error=f"Stopped after the time limit of {limit} seconds.")
    except Exception:
        # the row must not stay "running" for ever; the trace goes to the log and up to Celery
        job.finish(JobStatus.FAILED, error="An internal error; the worker's log has the details.")
        raise
    log.info("training ended", job=job_id)


def requeue_stalled() -> list[str]:
    """Give jobs whose worker vanished back to the queue, or fail them after too many tries.

    Gives the ids to announce to the workers: those, and queued jobs that no
    worker took although one is idle, since Redis may have lost their message.
    """
    ids = []
    for job in TrainingJob.objects.stalled().select_related("model"):
        if job.status == JobStatus.CANCELLING:
            job.finish(JobStatus.CANCELLED)
        elif job.attempts >= settings.TRAINING.max_attempts:
            job.finish(JobStatus.FAILED, error=f"The worker died {job.attempts} times; given up.")
        elif job.requeue():
            ids.append(str(job.pk))
    if TrainingJob.objects.active().count() < settings.TRAINING.max_workers:
        ids += [str(pk) for pk in TrainingJob.objects.forgotten().values_list("pk", flat=True)]
    return ids


def clear_leftovers() -> int:
    """Delete training sets that killed workers left behind; gives how many."""
    return datasets.clear_leftovers()


def _run(job: TrainingJob, alive: "_Alive") -> None:
    report = _RowReporter(job, alive)
    with datasets.opened(job, report) as data:
        request = _request(job, data)
        trained = pipeline.run(request, data.file, report)
    report.step("write bundle", 97)
    lineage = {
        **trained.lineage, "job": str(job.pk), "code_version": settings.CODE_VERSION
    }  # fmt: skip
    written = bundles.write(
        root=settings.ARTIFACT_ROOT,
        folder=str(job.model_id),
        files=trained.files,
        about={
            "model": job.model.name,
            "algorithm": job.model.algorithm,
            "parameters": dict(request.hyperparameters),
            "created_at": timezone.now().isoformat(),
            "lineage": lineage,
        },
    )
    try:
        report.step("register", 99)
        _register(job, request, trained, lineage, written)
    except Cancelled:  # after any other error the version may be there: a lost answer to COMMIT
        bundles.discard(root=settings.ARTIFACT_ROOT, written=written)
        raise


@transaction.atomic
def _register(
    job: TrainingJob,
    request: pipeline.Request,
    trained: pipeline.Trained,
    lineage: dict[str, Any],
    written: bundles.Written,
) -> None:
    version = registry.register_version(
        model=job.model,
        actor=job.requested_by,
        new=registry.NewVersion(
            algorithm=job.model.algorithm,
            parameters=dict(request.hyperparameters),
            metrics=trained.metrics,
            signature=trained.signature,
            lineage=lineage,
            bundle_path=written.path,
            bundle_digest=written.digest,
            training_job=str(job.pk),
            feature_set=job.feature_set,
        ),
    )
    done = job.finish(
        JobStatus.SUCCEEDED, progress=100, step="done", metrics=trained.metrics, version=version
    )
    if not done:  # given up or cancelled meanwhile: the version must not appear
        raise Cancelled


def _request(job: TrainingJob, data: datasets.Dataset) -> pipeline.Request:
    own, hyperparameters = options.checked(job.parameters)
    chosen = {**options.DEFAULTS, **own}
    algorithm = job.model.algorithm
    configured = getattr(settings.TRAINING.algorithms, algorithm).default_params.model_dump()
    merged = {
        **algorithms.defaults(algorithm), **configured, **job.model.parameters, **hyperparameters
    }  # fmt: skip
    return pipeline.Request(
        model=job.model.name,
        dataset_name=data.name,
        origin=data.origin,
        hyperparameters=algorithms.checked(algorithm, merged),
        choices=_choices(job, chosen),
        split=_split(job, chosen),
        max_bytes=settings.TRAINING.max_dataset_bytes,
        threads=max(1, (os.cpu_count() or 1) // settings.TRAINING.max_workers),
    )


def _choices(job: TrainingJob, chosen: Mapping[str, Any]) -> columns.Choices:
    if job.feature_set is None:
        return columns.Choices(
            label=chosen["label_column"],
            time=chosen["time_column"],
            exclude=chosen["exclude_columns"],
            keep=chosen["keep_columns"],
        )
    members = job.feature_set.members.all()
    return columns.Choices(
        label=datasets.LABEL,
        time=datasets.TIME,
        exclude=chosen["exclude_columns"],
        keep=chosen["keep_columns"],
        declared=frozenset(name for member in members for name in member.names),
    )


def _split(job: TrainingJob, chosen: Mapping[str, Any]) -> split.SplitRequest:
    delay, note = chosen["label_delay_days"], "as requested"
    if delay is None and job.feature_set is not None:
        delay, note = job.feature_set.stream.label_delay_days, "the stream's label delay"
    return split.SplitRequest(
        validation=chosen["validation_split"],
        test=chosen["test_split"],
        label_delay_days=delay,
        delay_note=note,
        seed=int(chosen["seed"]),
    )


class _Alive:
    """What the lease's keeper found out: whether the job is still ours and wanted."""

    def __init__(self) -> None:
        self.status: JobStatus | None = JobStatus.RUNNING

    def raise_if_unwanted(self) -> None:
        if self.status != JobStatus.RUNNING:
            raise Cancelled


@contextmanager
def _kept_alive(job: TrainingJob) -> Iterator[_Alive]:
    """Renew the job's lease in a thread, because a fit can be silent for long."""
    alive, stop = _Alive(), threading.Event()

    def renew() -> None:
        try:
            while not stop.wait(settings.TRAINING.lease_seconds / 5):
                try:
                    alive.status = job.renew()
                except DatabaseError as error:  # the next renewal may still be in time
                    log.warning("lease not renewed", job=str(job.pk), error=type(error).__name__)
                    connection.close()
        finally:
            connection.close()

    keeper = threading.Thread(target=renew, name="lease", daemon=True)
    keeper.start()
    try:
        yield alive
    finally:
        stop.set()
        keeper.join(timeout=5)


class _RowReporter:
    """Progress, log and learning curve on the job's row."""

    def __init__(self, job: TrainingJob, alive: _Alive) -> None:
        self._job = job
        self._alive = alive
        self._curve: list[tuple[int, float]] = []
        self._written = 0.0
        # a set is built first, and the pipeline's percents are of what is left
        self._ahead = 0 if job.feature_set_id is None else datasets.SHARE

    def building(self, percent: int) -> None:
        self._alive.raise_if_unwanted()
        self._write(step=datasets.STEP, progress=self._ahead * percent // 100)

    def step(self, name: str, percent: int) -> None:
        self._write(step=name, progress=self._whole(percent))

    def log(self, line: str) -> None:
        stamp = timezone.now().strftime("%H:%M:%S")
        text = Concat(F("log"), Value(f"{stamp} {line}\n"), output_field=TextField())
        self._write(log=Right(text, LOG_LIMIT))

    def round(self, done: int, total: int, validation_ap: float, percent: int) -> None:
        self._alive.raise_if_unwanted()
        if done in (1, total) or done % max(1, total // 100) == 0:
            self._curve.append((done, round(validation_ap, 5)))
        now = time.monotonic()
        if done == total or now - self._written >= WRITE_EVERY:
            self._written = now
            step = f"fit: tree {done} of {total}"
            self._write(progress=self._whole(percent), step=step, curve=self._curve)

    def _whole(self, percent: int) -> int:
        return self._ahead + percent * (100 - self._ahead) // 100

    def _write(self, **values: Any) -> None:
        if not self._job.write(**values):
            raise Cancelled
        status = TrainingJob.objects.values_list("status", flat=True).get(pk=self._job.pk)
        self._alive.status = JobStatus(status)
        self._alive.raise_if_unwanted()
