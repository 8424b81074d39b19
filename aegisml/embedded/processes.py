"""The engines' processes, found by a mark that each carries in its command line.

Pid files are no help after a crash: the number may be somebody else's by then.
"""

import hashlib
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil


def mark(engines: Path) -> str:
    """A name for this engine folder, different from any other's."""
    return "aegisml-" + hashlib.sha256(str(engines.resolve()).encode()).hexdigest()[:12]


def marked(mark: str, program: str) -> list[psutil.Process]:
    """The running processes of one engine of one folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if not (process.info["name"] or "").startswith(program):
            continue
        if mark in " ".join(process.info["cmdline"] or []) and is_alive(process):
            found.append(process)
    return found


def end(processes: Iterable[psutil.Process], politely: signal.Signals, patience: float) -> None:
    """Ask, wait, and then make sure."""
    stubborn = _signal(list(processes), politely, patience)
    _signal(stubborn, signal.SIGKILL, 5.0)


def _signal(
    processes: list[psutil.Process], number: signal.Signals, patience: float
) -> list[psutil.Process]:
    """Those that are still there when patience ends."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    wait(lambda: not any(map(is_alive, processes)), patience, interval=0.01)
    return [process for process in processes if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """Running and more than a zombie, which whoever started it may collect late or never."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait(until: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
