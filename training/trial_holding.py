"""A worker's hold on its trial: kept by a thread, and let go soon when the trial isn't wanted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.conf import settings

from aegisml.base import leases, pool
from training.choices import StudyStatus
from training.models import Trial

log = structlog.get_logger(__name__)


class Wish(StrEnum):
    """What is to become of a trial that this worker has; None when it has it no more."""

    GO_ON = "go on"
    CANCEL = "cancel"
    TIME_IS_UP = "time is up"
    TOO_LONG = "too long"
    HAND_BACK = "hand back"  # the worker is being stopped; another goes on


class Stopped(Exception):
    """The trial isn't wanted as it is; `wish` says why, None that another worker has it."""

    def __init__(self, wish: Wish | None) -> None:
        super().__init__(str(wish))
        self.wish = wish


@dataclass(frozen=True)
class Limits:
    """Seconds from now: until the study's search ends, and until this trial took too long."""

    search: float
    trial: float


class Hold:
    """What the keeper found out about the trial."""

    def __init__(self, trial: Trial, limits: Limits) -> None:
        now = time.monotonic()
        self._trial = trial
        self._search_ends = now + limits.search
        self._trial_ends = now + limits.trial
        self._lease = leases.Lease[Wish](Wish.GO_ON)

    def check(self) -> None:
        """Raises `Stopped` when the trial isn't wanted as it is."""
        if self._lease.status != Wish.GO_ON:
            raise Stopped(self._lease.status)

    def look(self) -> Wish | None:
        try:
            return self._wish(self._trial.look())
        except Trial.DoesNotExist:  # made in a transaction that lasts: others can't see it
            return self._wish(StudyStatus.RUNNING)

    def renew(self) -> Wish | None:
        self._trial.renew()
        return self.look()

    def follow(self, lease: leases.Lease[Wish]) -> None:
        self._lease = lease

    def _wish(self, study: StudyStatus | None) -> Wish | None:
        if study is None:
            return None
        if study != StudyStatus.RUNNING:
            return Wish.CANCEL
        now = time.monotonic()
        if now > self._search_ends:
            return Wish.TIME_IS_UP
        if now > self._trial_ends:
            return Wish.TOO_LONG
        return Wish.HAND_BACK if pool.is_leaving() else Wish.GO_ON


@contextmanager
def kept(trial: Trial, limits: Limits, *, end: Callable[[Wish | None], None]) -> Iterator[Hold]:
    """Renew the trial's lease, and look twice a second whether it is still wanted.

    A body that doesn't listen ends with its process, where that is one of Celery's pool; `end`
    is called before with the wish, to finish the row.
    """
    hold = Hold(trial, limits)

    def unheeded(wish: Wish | None) -> None:
        if pool.may_end():
            log.warning("trial broken off", trial=str(trial.pk), why=wish)
            end(wish)
            pool.end()

    watch = leases.Watch(look=hold.look, unheeded=unheeded, every=0.4, patience=0.9)
    every = settings.TRAINING.lease_seconds / 5
    with leases.kept(
        hold.renew, status=Wish.GO_ON, every=every, name="trial lease", watch=watch
    ) as lease:
        hold.follow(lease)
        yield hold
