"""What is known about a version's state as a whole: being built, complete, gone.

A marker says that the state is complete. It holds the id of the Redis process
that it was complete in: a Redis that was restarted may have lost its last
writes, although it has the marker.
"""

from uuid import UUID

from features.choices import OnlineState
from features.models import FeatureViewVersion
from features.online import client, keys, live


def process_id() -> str:
    """Of the Redis server, a new one with each start. Raises `redis.RedisError`."""
    [reply] = client.exchange([[b"INFO", b"server"]])
    lines: list[str] = reply.decode().splitlines()
    return next(line.removeprefix("run_id:") for line in lines if line.startswith("run_id:"))


def completed_in(version_id: UUID) -> str | None:
    """The Redis process in which the version's state was complete; None when it can't be read."""
    [reply] = client.exchange([[b"GET", keys.ready(keys.version_prefix(version_id))]])
    return None if reply is None else str(reply.decode())


def begin(version: FeatureViewVersion, builder: str) -> None:
    """From now on, `complete` finds out whether Redis was emptied since, and each event that is
    logged from now on is fed to the version by whoever logs it."""
    prefix = keys.version_prefix(version.pk)
    commands: list[client.Command] = [[b"SET", keys.building(prefix), _token(builder)]]
    if version.online == OnlineState.BUILDING:  # a marker would be of an earlier time
        commands.append([b"DEL", keys.ready(prefix)])
    client.exchange(commands)
    live.announce(version.view.stream_id)


def is_begun(version: FeatureViewVersion, builder: str) -> bool:
    """Whether what `builder` wrote so far is still there."""
    [reply] = client.exchange([[b"GET", keys.building(keys.version_prefix(version.pk))]])
    return bool(reply == _token(builder).encode())


def complete(version: FeatureViewVersion, builder: str) -> bool:
    """Mark the version's state complete; False when Redis was emptied since `begin`."""
    prefix = keys.version_prefix(version.pk)
    command = client.CHECKED_SET.call(
        [keys.building(prefix), keys.ready(prefix)], [_token(builder), process_id()]
    )
    return client.exchange([command]) == [1]


def delete_version_state(version_id: UUID, stream_id: int) -> None:
    """Forget all that is stored for the version. Raises `redis.RedisError`."""
    prefix = keys.version_prefix(version_id)
    live.announce(stream_id)
    client.exchange([[b"DEL", keys.ready(prefix), keys.building(prefix)]])
    cursor: client.Part = b"0"
    while True:
        [reply] = client.exchange([[b"SCAN", cursor, b"MATCH", f"{prefix}:*", b"COUNT", 1000]])
        cursor, found = reply
        if found:
            client.exchange([[b"UNLINK", key] for key in found])
        if cursor == b"0":
            return


def _token(builder: str) -> str:
    return f"{builder}:{process_id()}"
