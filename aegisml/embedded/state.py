"""What is known about the engines between two starts: ports and passwords, in one file."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

HOST = "127.0.0.1"
FILE = "engines.json"
# Below the range from which systems hand out ports for outgoing connections,
# so that a port kept over a restart is rarely taken by one of those.
PORTS = range(20_000, 32_000)


class EngineError(Exception):
    """An embedded engine can't run; the message is one line for a person."""


@dataclass(frozen=True)
class Engines:
    """How to reach the two embedded engines."""

    database_host: str
    database_port: int
    database_user: str
    database_password: str = field(repr=False)
    database_name: str
    redis_host: str
    redis_port: int
    redis_password: str = field(repr=False)


@dataclass(frozen=True)
class State:
    """The engines, and what only their keeper knows."""

    engines: Engines
    admin_password: str = field(repr=False)

    def with_database_port(self, port: int) -> "State":
        return replace(self, engines=replace(self.engines, database_port=port))

    def with_redis_port(self, port: int) -> "State":
        return replace(self, engines=replace(self.engines, redis_port=port))


def folder(var: Path) -> Path:
    return var / "engines"


def load(var: Path) -> State | None:
    """What was saved, or None when nothing usable was."""
    try:
        values = json.loads((folder(var) / FILE).read_text())
        admin_password = values.pop("admin_password")
        return State(Engines(**values), admin_password)
    except PermissionError as error:
        raise EngineError(f"{error.filename}: can't be read by this user") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def save(var: Path, state: State) -> None:
    path = folder(var) / FILE
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    values = {**asdict(state.engines), "admin_password": state.admin_password}
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:  # `sudo` once, and the folder is still its owner's
        owner = path.parent.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(path)


def fresh() -> State:
    database_port = free_port()
    engines = Engines(
        database_host=HOST,
        database_port=database_port,
        database_user="aegisml",
        database_password=secrets.token_urlsafe(24),
        database_name="aegisml",
        redis_host=HOST,
        redis_port=free_port(but=database_port),
        redis_password=secrets.token_urlsafe(24),
    )
    return State(engines, secrets.token_urlsafe(24))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A port whose last connections are still winding down can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(but: int = 0) -> int:
    choice = secrets.SystemRandom()
    for _ in range(1000):
        port = choice.choice(PORTS)
        if port != but and is_free(port):
            return port
    raise EngineError(f"no free port between {PORTS.start} and {PORTS.stop} on {HOST}")
