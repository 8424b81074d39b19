"""Keep the platform's processes running.

Honcho's manager and its like end everything when one process ends, and they
notice an end only when the last grandchild has closed the pipe. A platform
whose web server is killed needs a new web server, within a second.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from aegisml.config import BASE_DIR
from aegisml.up import programs
from aegisml.up.console import say
from aegisml.up.programs import Program

MAX_LOG_BYTES = 20 * 1024 * 1024
MAX_FAILURES = 5
FAILURE_WINDOW = 60.0
FIRST_PAUSE = 0.25
TICK = 0.1
# Celery's worker waits for its jobs on TERM and hands them back on QUIT.
GOODBYES = ((signal.SIGTERM, 8.0), (signal.SIGQUIT, 4.0), (signal.SIGKILL, 5.0))


class StopAsked(Exception):
    """Ctrl-C or TERM."""


class GaveUp(Exception):
    """A process that must run doesn't; the message says which and what it said last."""


class Keeper:
    """One program: its process, its log, and when it last failed."""

    def __init__(self, program: Program, var: Path, *, verbose: bool) -> None:
        self.program = program
        self.process: subprocess.Popen[str] | None = None
        self.tail: deque[str] = deque(maxlen=8)
        self._var = var
        self._verbose = verbose
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)
        self._restart_at = 0.0
        self._log = _log_file(var / "logs" / f"{program.name}.log")

    def launch(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the command is our own
            programs.bound_to_us(self.program.command),
            cwd=BASE_DIR,
            env=programs.environment(self._var, self.program.extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C is for the supervisor, which then ends its processes in order.
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        say(f"  {self.program.name} started (pid {self.process.pid})")

    def check(self) -> None:
        """Notice an end, and start again after a pause that grows."""
        if self.process is None:
            if time.monotonic() >= self._restart_at:
                self.launch()
            return
        code = self.process.poll()
        if code is None:
            return
        # Its orphans would hold its port, or work on beside its successor.
        self.signal_group(signal.SIGKILL)
        self.process = None
        self._note_failure(code)

    def _note_failure(self, code: int) -> None:
        now = time.monotonic()
        self._failures.append(now)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        recent = sum(moment > now - FAILURE_WINDOW for moment in self._failures)
        if recent >= MAX_FAILURES:
            last = "".join(f"\n    {line}" for line in self.tail)
            raise GaveUp(
                f"{self.program.name} {how}, for the {recent}th time within a minute. "
                f"Its last lines (more in {self._var}/logs/{self.program.name}.log):{last}"
            )
        pause = FIRST_PAUSE * 2 ** (recent - 1)
        self._restart_at = now + pause
        say(f"  {self.program.name} {how}; starting again in {pause:g} s")

    def signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def tell(self, number: signal.Signals) -> None:
        # The leader only: it tells its workers, in the order that it wants.
        if self.process is not None:
            self.process.send_signal(number)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or []:
            text = line.rstrip("\n")
            self.tail.append(text)
            self._log(text)
            if self._verbose:
                say(f"{self.program.name:>8} | {text}")


class Supervisor:
    """All of them. Everything that waits calls `tick`, so that nothing goes unnoticed meanwhile."""

    def __init__(self, var: Path, *, verbose: bool) -> None:
        self._var = var
        self._verbose = verbose
        self._keepers: list[Keeper] = []
        self._signals = 0

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self._signals += 1

    def start(self, wanted: list[Program]) -> None:
        for program in wanted:
            keeper = Keeper(program, self._var, verbose=self._verbose)
            self._keepers.append(keeper)
            keeper.launch()

    def tick(self) -> None:
        """Look after the processes and pass a moment."""
        if self._signals:
            raise StopAsked
        for keeper in self._keepers:
            keeper.check()
        time.sleep(TICK)

    def run(self, command: list[str], extra: Mapping[str, str]) -> int:
        """A command on the terminal, with everything else looked after meanwhile."""
        process = subprocess.Popen(  # noqa: S603 - the command is our own
            programs.bound_to_us(command),
            cwd=BASE_DIR,
            env=programs.environment(self._var, extra),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                self.tick()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode

    def stop(self) -> None:
        """End every process: politely, and in the end surely. Another Ctrl-C is less polite."""
        for number, patience in GOODBYES:
            running = [keeper for keeper in self._keepers if keeper.is_running()]
            for keeper in running:
                keeper.tell(number)
            self._wait_for_end(running, patience)
        for keeper in self._keepers:
            keeper.signal_group(signal.SIGKILL)
        self._keepers.clear()

    def _wait_for_end(self, running: list[Keeper], patience: float) -> None:
        deadline = time.monotonic() + patience
        heard = self._signals
        while any(keeper.is_running() for keeper in running):
            if time.monotonic() > deadline or self._signals > heard:
                return
            time.sleep(TICK / 2)

    def tail(self, name: str) -> list[str]:
        return [line for k in self._keepers if k.program.name == name for line in k.tail]


def _log_file(path: Path) -> Callable[[str], None]:
    """A function that appends lines to a file which never outgrows its limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.Logger(path.stem)
    logger.addHandler(RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1))
    return logger.info
