"""Whether this process is one of Celery's pool, which may end itself for a task's sake."""

import os
from typing import NoReturn

_is_entered = False


def enter() -> None:
    """Called once in each process of a worker's pool (`aegisml.celery`), nowhere else."""
    global _is_entered  # noqa: PLW0603 - it is about the process
    _is_entered = True


def may_end() -> bool:
    """Whether another process takes this one's place when it ends; not in tests and commands."""
    return _is_entered


def end() -> NoReturn:
    """End this process at once, whatever its threads do."""
    os._exit(1)
