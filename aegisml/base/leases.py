"""Leases on rows, which a worker renews as long as it lives."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

JOIN_SECONDS = 5  # how long an ending body waits for a renewal under way

Status = TypeVar("Status")


@dataclass
class Lease(Generic[Status]):
    """What the newest renewal or look found: the row's status, None once the row was taken away."""

    status: Status | None


@dataclass(frozen=True)
class Watch(Generic[Status]):
    """Looks at the row between renewals, for bodies that must end soon once they are not wanted.

    `look` gives what `renew` gives, and renews nothing. When the status has been another than at
    first for `patience` seconds and the body still goes on, `unheeded` is called with it, once.
    """

    look: Callable[[], Status | None]
    unheeded: Callable[[Status | None], None]
    every: float = 0.5
    patience: float = 1.0


@contextmanager
def kept(
    renew: Callable[[], Status | None],
    *,
    status: Status,
    every: float,
    name: str,
    watch: Watch[Status] | None = None,
) -> Iterator[Lease[Status]]:
    """Call `renew` each `every` seconds in a thread of this name, because the body can be
    silent for long.

    `renew` extends the lease and gives the row's status, or None when another has the row.
    Gives the lease, whose status, at first `status`, the body may look at any time.
    """
    lease, stop = Lease[Status](status), threading.Event()
    keeper = threading.Thread(
        target=_keep, args=[lease, stop, renew, every, watch], name=name, daemon=True
    )
    keeper.start()
    try:
        yield lease
    finally:
        stop.set()
        keeper.join(timeout=JOIN_SECONDS)


def _keep(
    lease: Lease[Status],
    stop: threading.Event,
    renew: Callable[[], Status | None],
    every: float,
    watch: Watch[Status] | None,
) -> None:
    wanted, unwanted_since = lease.status, None
    pause = min(every, watch.every) if watch else every
    next_renewal = time.monotonic() + every
    try:
        while not stop.wait(pause):
            now = time.monotonic()
            is_due = now >= next_renewal or watch is None
            try:
                lease.status = renew() if is_due or watch is None else watch.look()
            except DatabaseError as error:  # the next renewal may still be in time
                name = threading.current_thread().name
                log.warning("lease not renewed", lease=name, error=type(error).__name__)
                connection.close()
            else:
                next_renewal = now + every if is_due else next_renewal
            if watch is None or lease.status == wanted:
                continue
            unwanted_since = unwanted_since or now
            pause = min(pause, watch.patience / 8)  # not late by a whole look
            if now - unwanted_since >= watch.patience:
                watch.unheeded(lease.status)
                watch = None
    finally:
        connection.close()  # it is this thread's own
