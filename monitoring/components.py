"""The platform's parts, and whether each does its work."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from aegisml.base import workers
from aegisml.base.redis import short_lived
from inference import journal
from monitoring.choices import ComponentState

BEAT_PATIENCE = 40  # seconds; beat ticks every 10
MIN_FREE_SHARE = 0.05
JOURNAL_WARNING = 0.5
QUEUES = ("training", "chores")


@dataclass(frozen=True)
class Component:
    """One part: its state and a sentence about it."""

    name: str
    state: ComponentState
    detail: str


def check_all() -> list[Component]:
    """Every component, in a fixed order; some milliseconds, since nothing is waited for."""
    return [
        _database(),
        _redis(),
        _workers(),
        _beat(),
        _disk(),
        _artifact_store(),
        _journal(),
    ]


def worst(components: list[Component]) -> ComponentState:
    """down when a part without which nothing can be answered is down, else the next worst."""
    if any(
        part.state == ComponentState.DOWN
        for part in components
        if part.name in ("database", "journal")
    ):
        return ComponentState.DOWN
    return (
        ComponentState.OK
        if all(part.state == ComponentState.OK for part in components)
        else ComponentState.DEGRADED
    )


def readiness() -> list[Component]:
    """What a web process needs to answer: the database and a journal that takes records."""
    return [_database(), _journal()]


def heartbeat_key() -> str:
    return f"aegisml:{settings.INSTALLATION}:beat"


def _database() -> Component:
    def ask() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "answers"

    return _timed("database", ask, DatabaseError)


def _redis() -> Component:
    def ask() -> str:
        short_lived().ping()
        return "answers"

    return _timed("redis", ask, redis.RedisError)


def _workers() -> Component:
    try:
        living = workers.living()
    except redis.RedisError:
        return Component("workers", ComponentState.DOWN, "redis is not reachable")
    if not living:
        return Component("workers", ComponentState.DOWN, "no Celery worker shows life")
    served = {queue for queues in living.values() for queue in queues}
    missing = [queue for queue in QUEUES if queue not in served]
    if missing:
        detail = f"no worker takes from the queue {' or '.join(missing)}"
        return Component("workers", ComponentState.DEGRADED, detail)
    return Component("workers", ComponentState.OK, f"{len(living)} alive")


def _beat() -> Component:
    try:
        last = short_lived().get(heartbeat_key())
    except redis.RedisError:
        return Component("beat", ComponentState.DOWN, "redis is not reachable")
    if last is None:
        return Component("beat", ComponentState.DOWN, "no scheduled tick was ever run")
    age = time.time() - float(last)
    state: ComponentState = ComponentState.OK if age < BEAT_PATIENCE else ComponentState.DOWN
    return Component("beat", state, f"last tick {age:.0f} s ago")


def _disk() -> Component:
    usage = shutil.disk_usage(settings.VAR)
    share = usage.free / usage.total
    state: ComponentState = ComponentState.OK if share > MIN_FREE_SHARE else ComponentState.DEGRADED
    return Component("disk", state, f"{share:.0%} free")


def _artifact_store() -> Component:
    root = settings.ARTIFACT_ROOT
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Component("artifact_store", ComponentState.DOWN, "the folder can't be made")
    if not os.access(root, os.R_OK | os.W_OK):
        return Component("artifact_store", ComponentState.DOWN, "the folder can't be written")
    return Component("artifact_store", ComponentState.OK, "readable and writable")


def _journal() -> Component:
    waiting = journal.spooled_bytes(settings.JOURNAL_ROOT)
    share = waiting / settings.INFERENCE.journal_quota_bytes
    detail = f"{waiting:,} bytes spooled, {share:.0%} of the quota"
    if share >= 1:
        return Component("journal", ComponentState.DOWN, detail)
    return Component(
        "journal", ComponentState.DEGRADED if share > JOURNAL_WARNING else ComponentState.OK, detail
    )


def _timed(name: str, ask: Callable[[], str], failure: type[Exception]) -> Component:
    started = time.perf_counter()
    try:
        said = ask()
    except failure:
        return Component(name, ComponentState.DOWN, "is not reachable")
    return Component(
        name, ComponentState.OK, f"{said} in {(time.perf_counter() - started) * 1000:.1f} ms"
    )
