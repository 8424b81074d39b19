"""Progress, log and learning curve of a training, on the job's row."""

import time
from datetime import timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat, Right
from django.utils import timezone

from training import holding, steps
from training.choices import JobStatus
from training.holding import Hold
from training.ml.algorithms.contract import Round
from training.ml.errors import Cancelled
from training.models import LOG_LIMIT, TrainingJob

log = structlog.get_logger(__name__)

WRITE_EVERY = 0.5  # seconds between two progress writes of the fit
POINTS = 100  # of a learning curve, and the last one
BUILD_SHARE = 30  # percent of the job that building a training set takes
DIGITS = 5


class RowReporter:
    """What the pipeline and the building of training sets report to (see their `Reporter`)."""

    def __init__(self, job: TrainingJob, hold: Hold) -> None:
        self._job = job
        self._hold = hold
        self._curve = job.points
        self._written = 0.0
        self._step = ""
        self._highest = 0
        self._usual = _usual_seconds(job)
        self._pace = _Pace(tail=steps.seconds_from(steps.AFTER_FIT, self._usual) or 0)
        # a set is built first, and the pipeline's percents are of what is left
        self._ahead = 0 if job.feature_set_id is None else BUILD_SHARE

    def building(self, percent: int) -> None:
        self._hold.check()
        self._write(step=steps.BUILD, progress=self._ahead * percent // 100)

    def step(self, name: str, percent: int) -> None:
        self._step = name
        self._pace.restart()
        left = steps.seconds_from(name, self._usual)
        self._write(
            step=name,
            progress=self._whole(percent),
            curve=self._curve,  # the last rounds came too soon after each other
            expected_end=None if left is None else timezone.now() + timedelta(seconds=left),
        )

    def log(self, line: str) -> None:
        stamp = timezone.now().strftime("%H:%M:%S")
        one = " ".join(line.split())  # a line is a line, whatever a column is called
        text = Concat(F("log"), Value(f"{stamp} {one}\n"), output_field=TextField())
        self._write(log=Right(text, LOG_LIMIT), log_lines=F("log_lines") + 1)

    def round(self, done: Round, percent: int) -> None:
        self._hold.check()
        self._note(done)
        left = self._pace.left(done)
        now = time.monotonic()
        if done.done == done.total or now - self._written >= WRITE_EVERY:
            self._written = now
            self._write(
                progress=self._whole(percent),
                step=f"{self._step}: {done.done:,} of {done.total:,}",
                curve=self._curve,
                expected_end=None if left is None else timezone.now() + left,
            )

    def tick(self) -> None:
        self._hold.check()

    def _note(self, done: Round) -> None:
        """Add a point to the curve; a fit that goes on from a checkpoint continues its own."""
        if self._step != steps.FIT or not done.metrics:  # nothing was measured after it
            return
        self._curve = [point for point in self._curve if point["round"] < done.done]
        if done.done in (1, done.total) or done.done % _stride(done.total) == 0:
            rounded = {name: round(float(value), DIGITS) for name, value in done.metrics.items()}
            self._curve.append({"round": done.done, **rounded})

    def _whole(self, percent: int) -> int:
        """Percent of the whole job; it never goes back."""
        found = self._ahead + percent * (100 - self._ahead) // 100
        self._highest = max(self._highest, found)
        return self._highest

    def _write(self, **values: Any) -> None:
        try:
            is_ours = self._job.write(**values)
            if not is_ours:
                raise Cancelled
            self._hold.check_now()
        except (OperationalError, InterfaceError) as error:
            # progress is not worth a fit of hours: while the database is away the work goes on
            log.warning("progress not written", job=str(self._job.pk), error=type(error).__name__)
            holding.drop_broken_connection()


class _Pace:
    """How fast the rounds of a fit go, and what comes after them."""

    def __init__(self, *, tail: float) -> None:
        self._tail = tail
        self._first: tuple[int, float] | None = None

    def restart(self) -> None:
        self._first = None

    def left(self, done: Round) -> timedelta | None:
        """The time that is left, by the rounds since the first one that was seen here."""
        now = time.monotonic()
        if self._first is None or done.done <= self._first[0]:
            self._first = (done.done, now)
            return None
        first, since = self._first
        rounds = (now - since) / (done.done - first) * (done.total - done.done)
        return timedelta(seconds=rounds + self._tail)


def _stride(total: int) -> int:
    return max(1, total // POINTS)


def _usual_seconds(job: TrainingJob) -> dict[str, float]:
    """How long each step took when this model was trained last."""
    done = TrainingJob.objects.filter(model=job.model_id, status=JobStatus.SUCCEEDED)
    seconds = done.order_by("-created_at").values_list("metrics__seconds", flat=True).first()
    return seconds or {}
