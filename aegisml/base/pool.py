"""Whether this process is one of Celery's pool, which may end itself for a task's sake."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class _Process:
    """What this process knows of itself."""

    is_of_pool = False
    is_leaving = False
    signals = -1  # the end of a pipe that tells of signals


def enter() -> None:
    """Called once in each process of a worker's pool (`aegisml.celery`), nowhere else."""
    _Process.is_of_pool = True
    # Python runs a signal's handler between two of its own steps: not as long as a library is
    # computing. What is written here can be read by another thread at once.
    _Process.signals, told = os.pipe()
    for end_of_pipe in (_Process.signals, told):
        os.set_blocking(end_of_pipe, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)


def may_end() -> bool:
    """Whether another process takes this one's place when it ends; not in tests and commands."""
    return _Process.is_of_pool


def is_leaving() -> bool:
    """Whether the worker is being stopped, and this process should hand back what it does."""
    if _Process.signals >= 0 and not _Process.is_leaving:
        try:
            _Process.is_leaving = signal.SIGTERM in os.read(_Process.signals, 4096)
        except BlockingIOError:
            return False
    return _Process.is_leaving


def end() -> NoReturn:
    """End this process at once, whatever its threads do."""
    os._exit(1)


@contextmanager
def held() -> Iterator[None]:
    """While the body goes on, a stop of the worker doesn't end a process of its pool, but is a
    wish that the body looks for, by `is_leaving`; then the process ends after it."""
    if not may_end():
        yield
        return
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        if is_leaving():
            end()
        signal.signal(signal.SIGTERM, before)


def _note(*_: Any) -> None:
    _Process.is_leaving = True
