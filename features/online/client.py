"""Talks to Redis: many commands, one round trip."""

import hashlib
import os
from collections.abc import Mapping, Sequence
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
FEW = 10  # commands of a round trip that need no more time than one
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
    connections = _connections(settings.REDIS_URL, timeout)
    try:
        return _once(connections, commands)
    except NoScriptError:
        _once(connections, [[b"SCRIPT", b"LOAD", script.source] for script in SCRIPTS])
    except redis.TimeoutError:
        raise
    except redis.ConnectionError:  # the server closed it while it lay idle
        connections.close_idle()
    return _once(connections, commands)


def send_all(commands: Sequence[Command]) -> Reply:
    """Send any number of commands, in as few round trips as is wise; gives the last reply.

    Raises `redis.RedisError`; then the first ones may have been run.
    """
    last: Reply = None
    for start in range(0, len(commands), AT_ONCE):
        last = exchange(commands[start : start + AT_ONCE])[-1]
    return last


class _Connections:
    """Connections to one Redis that wait for their next use, and for an answer `timeout` seconds.
    The library's own pool asks the system about a socket before each use and keeps statistics:
    a third of a round trip."""

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout = timeout
        self._pool = redis.ConnectionPool.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._idle: list[redis.Connection] = []

    def take(self) -> redis.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.connection_class(**self._pool.connection_kwargs)

    def give_back(self, connection: redis.Connection) -> None:
        self._idle.append(connection)

    def close_idle(self) -> None:
        while self._idle:
            self.take().disconnect()


@lru_cache(maxsize=4)
def _connections(url: str, timeout: float) -> _Connections:
    return _Connections(url, timeout)


# A child would talk on its parent's sockets.
os.register_at_fork(after_in_child=_connections.cache_clear)


def _once(connections: _Connections, commands: Sequence[Command]) -> list[Reply]:
    # telling a socket its timeout is two calls of the system, so few commands keep to its own
    more = {"timeout": connections.timeout + PER_COMMAND * len(commands)}
    patience = more if len(commands) > FEW else {}
    connection = connections.take()
    is_whole = False
    try:
        connection.send_packed_command([_packed(commands)])
        replies = [_reply(connection, patience) for _ in commands]
        is_whole = True
    finally:
        if is_whole:
            connections.give_back(connection)
        else:  # an answer that nobody read would be taken for another's
            connection.disconnect()
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def _reply(connection: redis.Connection, patience: Mapping[str, float]) -> Reply:
    try:
        return connection.read_response(**patience)
    except ResponseError as error:
        return error


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
