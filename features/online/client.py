"""Talks to Redis: many commands, one round trip."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

# Seconds to wait for an answer; more for each command of a large batch, whose answers come at once.
READ_TIMEOUT = 0.5
WRITE_TIMEOUT = 3.0
PER_COMMAND = 0.01
CONNECT_TIMEOUT = 0.5
AT_ONCE = 500  # commands in a round trip of `send_all`
Part = str | bytes | int
Command = Sequence[Part]
Reply = Any  # what the command answers: bytes, an int, None or a list of these


FOLDER = Path(__file__).parent


class Script:
    """A Lua file beside this module; `call` makes the command that runs it in Redis."""

    def __init__(self, *names: str) -> None:
        self.source = b"".join((FOLDER / name).read_bytes() for name in names)
        self._digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def call(self, keys: Sequence[Part], arguments: Sequence[Part]) -> Command:
        return [b"EVALSHA", self._digest, len(keys), *keys, *arguments]


APPLY = Script("prelude.lua", "apply.lua")
OUTCOMES = Script("prelude.lua", "outcomes.lua")
READ = Script("prelude.lua", "tiles.lua", "read.lua")
CHECKED_SET = Script("checked_set.lua")
SCRIPTS = (APPLY, OUTCOMES, READ, CHECKED_SET)


def exchange(commands: Sequence[Command], *, timeout: float = WRITE_TIMEOUT) -> list[Reply]:
    """Send `commands` at once and give their replies.

    One round trip, but for a Redis that has lost the scripts or the
    connection: then all is sent again, so each command must be one that may
    be run twice. Raises `redis.RedisError`.
    """
    timeout += PER_COMMAND * len(commands)
    try:
        return _once(commands, timeout)
    except NoScriptError:
        _once([[b"SCRIPT", b"LOAD", script.source] for script in SCRIPTS], timeout)
    except redis.TimeoutError:
        raise
    except redis.ConnectionError:  # the server closed it while it lay idle
        pool().disconnect(inuse_connections=False)
    return _once(commands, timeout)


def send_all(commands: Sequence[Command]) -> Reply:
    """Send any number of commands, in as few round trips as is wise; gives the last reply.

    Raises `redis.RedisError`; then the first ones may have been run.
    """
    last: Reply = None
    for start in range(0, len(commands), AT_ONCE):
        last = exchange(commands[start : start + AT_ONCE])[-1]
    return last


def pool() -> redis.ConnectionPool:
    """This process's connections."""
    return _pool(settings.REDIS_URL)


@lru_cache(maxsize=1)
def _pool(url: str) -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=WRITE_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _once(commands: Sequence[Command], timeout: float) -> list[Reply]:
    connections = pool()
    connection = connections.get_connection()
    try:
        connection.send_packed_command([_packed(commands)])
        return _replies(connection, len(commands), timeout)
    except (redis.ConnectionError, redis.TimeoutError):
        connection.disconnect()
        raise
    finally:
        connections.release(connection)


def _replies(connection: redis.Connection, count: int, timeout: float) -> list[Reply]:
    """All replies are read before an error among them is raised, so that none is left behind."""
    replies: list[Reply] = []
    failed: ResponseError | None = None
    for _ in range(count):
        try:
            replies.append(connection.read_response(timeout=timeout))
        except ResponseError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return replies


def _packed(commands: Sequence[Command]) -> bytes:
    """The commands in Redis's protocol. The library's own packer takes five times as long."""
    out: list[bytes] = []
    for command in commands:
        out.append(b"*%d\r\n" % len(command))
        for part in command:
            data: Any = part
            if type(data) is str:
                data = data.encode()
            elif type(data) is not bytes:
                data = b"%d" % data
            out.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(out)
