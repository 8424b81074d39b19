"""A worker's hold on its job: kept by a thread, and let go soon when the job isn't wanted."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import connection

from aegisml.base import leases, pool
from training.choices import JobStatus
from training.ml.errors import Cancelled
from training.models import TrainingJob

log = structlog.get_logger(__name__)

GRACE = 60  # seconds that Celery's own limits come later than ours


class Wish(StrEnum):
    """What is to become of a job that this worker has; None when it has it no more."""

    GO_ON = "go on"
    CANCEL = "cancel"
    TIME_IS_UP = "time is up"
    HAND_BACK = "hand back"  # the worker is being stopped; another goes on


class OutOfTime(Exception):
    """The job ran longer than `ml.training.job_timeout`."""


class HandedBack(Exception):
    """The worker is being stopped: another one goes on with the job."""


def out_of_time() -> str:
    return f"Stopped after the time limit of {settings.TRAINING.job_timeout} seconds."


class Hold:
    """What the keeper found out about the job.

    `closing` is held by the body while it must not be broken off: the keeper ends the process
    only outside of it.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.closing = threading.Lock()
        self._job = job
        self._deadline = time.monotonic() + settings.TRAINING.job_timeout
        self._lease = leases.Lease[Wish](Wish.GO_ON)

    def check(self) -> None:
        """Raises `Cancelled`, `OutOfTime` or `HandedBack` when the job isn't to go on here."""
        if self._lease.status == Wish.TIME_IS_UP:
            raise OutOfTime
        if self._lease.status == Wish.HAND_BACK:
            raise HandedBack
        if self._lease.status != Wish.GO_ON:
            raise Cancelled

    def check_now(self) -> None:
        """The same, after a look at the row."""
        self._lease.status = self.look()
        self.check()

    def look(self) -> Wish | None:
        try:
            status = self._job.look()
        except TrainingJob.DoesNotExist:  # made in a transaction that lasts: others can't see it
            status = JobStatus.RUNNING
        if status == JobStatus.CANCELLING:
            return Wish.CANCEL
        if status == JobStatus.RUNNING and time.monotonic() > self._deadline:
            return Wish.TIME_IS_UP
        if status == JobStatus.RUNNING and pool.is_leaving():
            return Wish.HAND_BACK
        return Wish.GO_ON if status else None

    def renew(self) -> Wish | None:
        with suppress(TrainingJob.DoesNotExist):
            self._job.renew()
        return self.look()

    def follow(self, lease: leases.Lease[Wish]) -> None:
        self._lease = lease


def drop_broken_connection() -> None:
    """After the database was away: let the next question open a new connection."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


@contextmanager
def kept(job: TrainingJob, *, clean_up: Callable[[bool], None]) -> Iterator[Hold]:
    """Renew the job's lease, because a fit can be silent for long, and look twice a second
    whether it is still wanted.

    A body that doesn't listen ends with its process, where that is one of Celery's pool:
    before, its row is finished or handed back, and `clean_up` called with whether it is over.
    """
    hold = Hold(job)

    def unheeded(wish: Wish | None) -> None:
        if not pool.may_end():
            return
        with hold.closing:
            if not _let_go(job, wish):
                return
            log.warning("training broken off", job=str(job.pk), why=wish)
            clean_up(wish in (Wish.CANCEL, Wish.TIME_IS_UP))
            pool.end()

    watch = leases.Watch(look=hold.look, unheeded=unheeded)
    every = settings.TRAINING.lease_seconds / 5
    with leases.kept(
        hold.renew, status=Wish.GO_ON, every=every, name="lease", watch=watch
    ) as lease:
        hold.follow(lease)
        yield hold


def _let_go(job: TrainingJob, wish: Wish | None) -> bool:
    """End or hand back the row as wished; False when the body did so itself meanwhile."""
    match wish:
        case Wish.CANCEL:
            return job.finish(JobStatus.CANCELLED)
        case Wish.TIME_IS_UP:
            return job.finish(JobStatus.FAILED, error=out_of_time())
        case Wish.HAND_BACK:
            return job.hand_back()
    return wish is None  # another worker has it
