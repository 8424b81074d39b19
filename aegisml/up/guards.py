"""What must hold before anything starts: one `up` a folder, no leftovers, free ports."""

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from aegisml.config import Server
from aegisml.embedded import processes

# In the environment of every process that `up` starts, and so of their children.
MARK = "AEGIS_UP"


class Refused(Exception):
    """Starting makes no sense now; the message is one line that says why."""


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases however this process ends."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        lock = (var / "up.lock").open("a+")
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Refused(f"already running for {var} (pid {lock.read().strip()})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def end_leftovers(var: Path) -> int:
    """Kill what an earlier `up` of this folder left behind; to be called under its lock."""
    leftovers = [process for process in psutil.process_iter() if _is_ours(process, var)]
    processes.end(leftovers, signal.SIGKILL, patience=5)
    return len(leftovers)


def _is_ours(process: psutil.Process, var: Path) -> bool:
    if process.pid == os.getpid():
        return False
    with suppress(psutil.Error, OSError):
        return process.environ().get(MARK) == str(var)
    return False


def require_free_ports(server: Server) -> None:
    for key in ("http_port", "grpc_port", "metrics_port"):
        port = getattr(server, key)
        if not _is_free(server.host, port):
            raise Refused(
                f"port {port} on {server.host} is taken{_by_whom(port)}; "
                f"choose another with server.{key} or AEGIS__SERVER__{key.upper()}"
            )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise Refused(f"server.host {host}, port {port}: {error.strerror}") from None
    return True


def _by_whom(port: int) -> str:
    with suppress(psutil.Error, OSError):  # some systems tell root only
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.pid:
                continue
            if connection.laddr and connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
