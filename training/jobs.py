"""What a training worker does with a job."""

import os
import socket
import time
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from aegisml.base import pool
from models_app import bundles
from models_app.services import registry
from training import checkpoints, datasets, holding, queue, requests, steps, verdicts
from training.choices import JobStatus
from training.ml import pipeline
from training.ml.errors import Cancelled
from training.ml.request import Request, Trained
from training.models import TrainingJob
from training.reporting import RowReporter
from training.verdicts import Verdict

log = structlog.get_logger(__name__)

FIRST_PAUSE = 5  # seconds before a job is tried again; three times as long each time
SETTLE_PAUSES = (1, 2, 4, 8)  # seconds between tries to write how a job ended


def work() -> bool:
    """Run the most urgent queued job to its end; False when there is none to run, or no room."""
    job = queue.claim_next(worker=_own_name())
    if job is None:
        return False
    _do(job)
    return True


def train(job_id: str) -> bool:
    """Run this very job, whatever else waits; False when it isn't queued: somebody has it."""
    job = queue.claim(job_id, worker=_own_name())
    if job is None:
        return False
    _do(job)
    return True


def waiting() -> str | None:
    """The id of the job that a worker should take now, if any: its message may have come while
    there was no room."""
    if not queue.has_room():
        return None
    pk = TrainingJob.objects.due().values_list("pk", flat=True).first()
    return str(pk) if pk else None


def requeue_stalled() -> list[str]:
    """Give jobs whose worker vanished back to the queue, or put them in quarantine after too many
    tries.

    Gives the ids to announce to the workers: those, and queued jobs that no
    worker took although one is idle, since Redis may have lost their message.
    """
    found = []
    for job in TrainingJob.objects.stalled().select_related("model"):
        if job.status == JobStatus.CANCELLING:
            _give_up(job, JobStatus.CANCELLED)
        elif job.deaths + 1 >= settings.TRAINING.max_attempts:
            _quarantine(job)
        elif job.requeue():
            found.append(str(job.pk))
    if queue.has_room():
        found += [str(pk) for pk in TrainingJob.objects.forgotten().values_list("pk", flat=True)]
    return list(dict.fromkeys(found))


def clear_leftovers() -> int:
    """Delete training sets and checkpoints that killed workers left behind; gives how many."""
    return datasets.clear_leftovers() + checkpoints.clear_leftovers()


def _own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _do(job: TrainingJob) -> None:
    with pool.held():  # a stop of the worker hands the job back, instead of losing it
        _do_held(job)


def _do_held(job: TrainingJob) -> None:
    log.info("training started", job=str(job.pk), model=job.model.name, attempt=job.attempts)
    try:
        with holding.kept(job, clean_up=lambda is_over: _clean_up(job, is_over=is_over)) as hold:
            _run(job, hold)
    except Exception as error:
        # the row must not stay "running" for ever, whatever it was
        verdict = verdicts.of(error, source_field=job.source_field)
        if verdict.status == JobStatus.ERRORED:
            log.exception("training errored", job=str(job.pk), error=type(error).__name__)
        _settle(job, verdict)
        if verdict.is_bug:
            _clean_up(job, is_over=True)
            raise
    _clean_up(job, is_over=TrainingJob.objects.filter(pk=job.pk).finished().exists())
    log.info("training ended", job=str(job.pk))


def _clean_up(job: TrainingJob, *, is_over: bool) -> None:
    """Delete what this worker made on the way; the checkpoint stays for whoever goes on."""
    datasets.discard(job)
    if is_over:
        checkpoints.discard(job.pk)


def _settle(job: TrainingJob, verdict: Verdict) -> None:
    """Write how the job ended; while the database is away, for as long as the lease may last."""
    for pause in SETTLE_PAUSES:
        try:
            return _write_verdict(job, verdict)
        except (OperationalError, InterfaceError):
            holding.drop_broken_connection()
            time.sleep(pause)
    return _write_verdict(job, verdict)


def _write_verdict(job: TrainingJob, verdict: Verdict) -> None:
    tries = job.attempts - job.deaths
    is_tried_again = verdict.is_transient and tries < settings.TRAINING.max_attempts
    if is_tried_again or verdict.status == JobStatus.QUEUED:
        pause = timedelta(seconds=FIRST_PAUSE * 3 ** (tries - 1))
        until = timezone.now() + pause
        back = job.postpone(until=until, error=verdict.error) if is_tried_again else job.hand_back()
        if back:
            return
        verdict = Verdict(JobStatus.CANCELLED)  # asked for meanwhile
    error = verdict.error
    if verdict.is_transient:
        error = f"{error} The job was tried {tries} times; run it again when all is well."
    values = {"metrics": {**job.metrics, **verdict.metrics}} if verdict.metrics else {}
    job.finish(verdict.status, error=error, error_field=verdict.error_field, **values)


def _quarantine(job: TrainingJob) -> None:
    deaths = job.deaths + 1
    error = (
        f"The worker died {deaths} times with this job; it is in quarantine. Does its data fit"
        " in the worker's memory? Look at the worker's log before you run it again."
    )
    _give_up(job, JobStatus.ERRORED, error=error, is_quarantined=True, deaths=deaths)


def _give_up(job: TrainingJob, status: JobStatus, **values: Any) -> None:
    if job.give_up(status, **values):
        _clean_up(job, is_over=True)


def _run(job: TrainingJob, hold: holding.Hold) -> None:
    report = RowReporter(job, hold)
    with datasets.opened(job, report) as data:
        request = requests.of(job, dataset_name=data.name, origin=data.origin, scratch=data.scratch)
        trained = pipeline.run(request, data.file, report)
    report.step(steps.WRITE, 97)
    lineage = {
        **trained.lineage, "job": str(job.pk), "code_version": settings.CODE_VERSION
    }  # fmt: skip
    with hold.closing:  # from here on it is a matter of moments, and none may break it off
        written = bundles.write(
            root=settings.ARTIFACT_ROOT,
            folder=str(job.model_id),
            files=trained.files,
            about={
                "model": job.model.name,
                "algorithm": job.algorithm,
                "parameters": dict(request.hyperparameters),
                "created_at": timezone.now().isoformat(),
                "lineage": lineage,
            },
        )
        try:
            report.step(steps.REGISTER, 99)
            _register(job, request, trained, lineage, written)
        except (Cancelled, holding.OutOfTime, holding.HandedBack):
            # after any other error the version may be there: a lost answer to COMMIT
            bundles.discard(root=settings.ARTIFACT_ROOT, written=written)
            raise


@transaction.atomic
def _register(
    job: TrainingJob,
    request: Request,
    trained: Trained,
    lineage: dict[str, Any],
    written: bundles.Written,
) -> None:
    version = registry.register_version(
        model=job.model,
        actor=job.requested_by,
        new=registry.NewVersion(
            algorithm=job.algorithm,
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
        JobStatus.SUCCEEDED, progress=100, step=steps.DONE, metrics=trained.metrics, version=version
    )
    if not done:  # given up or cancelled meanwhile: the version must not appear
        raise Cancelled
