"""PostgreSQL and Redis, embedded: real servers from wheels, in a folder under var/.

`start` brings up what isn't running and adopts what is; `read` is how Django's
settings learn where they are.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aegisml.embedded import home as homes
from aegisml.embedded import postgres, processes, redis, state
from aegisml.embedded.state import EngineError, Engines

__all__ = ["EngineError", "Engines", "is_running", "read", "running", "start", "stop"]


def read(var: Path) -> Engines | None:
    """Where the engines of this folder are, by what was saved; nothing is asked of them."""
    known = state.load(var)
    return known.engines if known else None


def start(var: Path, *, durable: bool = True) -> Engines:
    """Make both engines run and answer; those that do already are left alone.

    With `durable=False` (tests) they may lose data in a crash of the machine.
    Raises `EngineError` when an engine can't run.
    """
    with _alone(var):
        known = state.load(var) or state.fresh()
        data = homes.data_folder(state.folder(var))
        has_database, has_redis = postgres.answers(data, known), redis.answers(data, known)
        if has_database and has_redis:
            return known.engines
        home = homes.prepare(state.folder(var))
        mark = processes.mark(state.folder(var))
        # Saved before too: a start that is cut short has then told nobody a password it lost.
        state.save(var, known)
        if not has_database:
            known = postgres.ensure(home, mark, known, durable=durable)
        if not has_redis:
            known = redis.ensure(home, mark, known, durable=durable)
        state.save(var, known)
        return known.engines


def stop(var: Path) -> None:
    """End both engines, in order, and whatever was left of them."""
    if not state.folder(var).is_dir():
        return
    with _alone(var):
        mark = processes.mark(state.folder(var))
        redis.stop(mark)
        postgres.stop(mark)


def is_running(var: Path) -> bool:
    """Whether both engines of this folder answer."""
    known = state.load(var)
    if known is None:
        return False
    data = homes.data_folder(state.folder(var))
    return postgres.answers(data, known) and redis.answers(data, known)


@contextmanager
def running(var: Path, *, durable: bool = True) -> Iterator[Engines]:
    """Engines for the length of a block; stopped at its end if it was this that started them."""
    was_running = is_running(var)
    engines = start(var, durable=durable)
    try:
        yield engines
    finally:
        if not was_running:
            stop(var)


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """One start or stop at a time; the lock ends with its process, however that ends."""
    folder = state.folder(var)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise EngineError(f"{error.filename}: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
