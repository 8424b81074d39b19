"""Which Celery workers live: each tells in Redis, every two seconds, and here is who told."""

import time
from contextlib import suppress
from typing import cast

import redis
from django.conf import settings

from aegisml.base.redis import short_lived

PATIENCE = 15  # seconds of silence


def key() -> str:
    return f"aegisml:{settings.INSTALLATION}:workers"


def record(hostname: str, queues: list[str]) -> None:
    """Note that a worker lives and what it takes from."""
    with suppress(redis.RedisError):  # the worker has its own way of waiting for Redis
        short_lived().hset(key(), hostname, f"{time.time()} {' '.join(queues)}")


def living() -> dict[str, list[str]]:
    """The queues of each worker that showed life lately, by its name; raises `RedisError`."""
    told = cast(dict[bytes, bytes], short_lived().hgetall(key()))
    entries = {name.decode(): entry.decode().split() for name, entry in told.items()}
    now = time.time()
    return {
        name: queues
        for name, (moment, *queues) in entries.items()
        if now - float(moment) < PATIENCE
    }
