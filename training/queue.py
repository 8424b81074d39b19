"""Which job is taken next, and why a job is not taken yet."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import redis
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from aegisml.base import workers
from training.choices import JobStatus, Priority
from training.models import TrainingJob

QUEUE = "training"
NAMED = 3  # running jobs that a sentence names
_LOCK = zlib.crc32(b"training.queue")
_RELATED = ("model", "requested_by", "feature_set__stream")


@transaction.atomic
def claim_next(*, worker: str) -> TrainingJob | None:
    """Take the most urgent queued job; None when there is none, or when `ml.training.max_workers`
    are at work already, in whatever process."""
    with connection.cursor() as cursor:  # one claim at a time, or two would count the same
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if not has_room():
        return None
    # the claim itself is conditional too: a command may take a job without asking here
    for job in TrainingJob.objects.due().select_related(*_RELATED)[: settings.TRAINING.max_workers]:
        if job.claim(worker=worker):
            return job
    return None


def claim(job_id: str, *, worker: str) -> TrainingJob | None:
    """Take this very job, whatever else waits; None when it isn't queued."""
    job = TrainingJob.objects.select_related(*_RELATED).get(pk=job_id)
    return job if job.claim(worker=worker) else None


def has_room() -> bool:
    return TrainingJob.objects.held().count() < settings.TRAINING.max_workers


@dataclass(frozen=True)
class _Running:
    model: str
    step: str
    progress: int

    def __str__(self) -> str:
        step = f", {self.step}" if self.step else ""
        return f"{self.model} ({self.progress} %{step})"


@dataclass(frozen=True)
class Queue:
    """The queue at one moment: the waiting jobs in their order, who is at work, who lives.

    `workers` is None when Redis, where workers show life, is not reachable.
    """

    waiting: tuple[UUID, ...]
    running: tuple[_Running, ...]
    workers: int | None
    at: datetime

    @classmethod
    def now(cls) -> "Queue":
        """As it is; three small questions, however many jobs are asked about afterwards."""
        waiting = TrainingJob.objects.due().values_list("pk", flat=True)
        running = TrainingJob.objects.held().order_by("started_at")
        rows = running.values_list("model__name", "step", "progress")
        return cls(
            waiting=tuple(waiting),
            running=tuple(_Running(*row) for row in rows),
            workers=_living(),
            at=timezone.now(),
        )

    def why(self, job: TrainingJob) -> str | None:
        """Why this job waits, in a sentence or two; None when it doesn't."""
        if job.status != JobStatus.QUEUED:
            return None
        if job.not_before is not None and job.not_before > self.at:
            return f"It is tried again at {job.not_before:%H:%M:%S} UTC, after: {job.error}"
        ahead = self.waiting.index(job.pk) if job.pk in self.waiting else 0
        return f"{_place(ahead, job)} {self._obstacle(ahead)}"

    def _obstacle(self, ahead: int) -> str:
        limit = settings.TRAINING.max_workers
        if self.workers is None:
            return "Redis, which wakes the workers, is not reachable."
        if not self.workers:
            return f"No worker takes trainings: none showed life for {workers.PATIENCE} seconds."
        if len(self.running) >= limit:
            named = ", ".join(str(job) for job in self.running[:NAMED])
            more = len(self.running) - NAMED
            rest = f" and {more} more" if more > 0 else ""
            return f"{_all(limit)} at work: {named}{rest}."
        if ahead:
            return "Workers are free and take them one after the other."
        return "A worker takes it within seconds, unless all are at other work for features."


def why_waiting(job: TrainingJob) -> str | None:
    """Why one job waits; asks nothing when it doesn't."""
    return Queue.now().why(job) if job.status == JobStatus.QUEUED else None


def _place(ahead: int, job: TrainingJob) -> str:
    if not ahead:
        return "It is next."
    what = "1 job is" if ahead == 1 else f"{ahead:,} jobs are"
    if job.priority == Priority.LOW:
        return f"{what} ahead of it, and its priority is low."
    return f"{what} ahead of it."


def _all(limit: int) -> str:
    return "The only place for trainings is" if limit == 1 else f"All {limit} places are"


def _living() -> int | None:
    try:
        return sum(QUEUE in queues for queues in workers.living().values())
    except redis.RedisError:
        return None
