"""The supervisor keeps processes running, and ends them all, whatever they do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from aegisml.up import guards
from aegisml.up.programs import Program
from aegisml.up.supervisor import GaveUp, StopAsked, Supervisor

SLEEP = ["sleep", "60"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path, verbose=False)
    yield supervisor
    supervisor.stop()


def until(condition: Callable[[], object], supervisor: Supervisor | None = None) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        if supervisor:
            supervisor.tick()
        time.sleep(0.02)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ours(var: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if guards._is_ours(p, var) and p.status() != "zombie"]


def log(var: Path, name: str = "stub") -> str:
    path = var / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def running(var: Path, program: str) -> list[psutil.Process]:
    return [process for process in ours(var) if process.name() == program]


def test_a_killed_process_is_started_again(supervisor, tmp_path):
    supervisor.start([Program("stub", SLEEP)])
    until(lambda: running(tmp_path, "sleep"))
    first = running(tmp_path, "sleep")[0]

    first.kill()

    until(lambda: [p for p in running(tmp_path, "sleep") if p.pid != first.pid], supervisor)


def test_a_process_that_keeps_failing_stops_everything_with_its_last_words(supervisor):
    supervisor.start([Program("stub", python("import sys; sys.exit('no such model')"))])

    with pytest.raises(GaveUp, match="stub ended with status 1, for the 5th time") as reason:
        until(lambda: False, supervisor)

    assert "no such model" in str(reason.value)


def test_what_a_process_says_is_in_its_log(supervisor, tmp_path, capsys):
    supervisor.start([Program("stub", python("print('hello'); import time; time.sleep(60)"))])

    until(lambda: "hello" in log(tmp_path))

    assert "hello" not in capsys.readouterr().out


def test_verbose_shows_it_too(tmp_path, capsys):
    supervisor = Supervisor(tmp_path, verbose=True)
    supervisor.start([Program("stub", python("print('hello'); import time; time.sleep(60)"))])

    until(lambda: "hello" in log(tmp_path))
    supervisor.stop()

    assert "stub | hello" in capsys.readouterr().out


def test_the_orphans_of_a_killed_leader_are_ended_before_its_successor_starts(supervisor, tmp_path):
    code = "import subprocess, time; subprocess.Popen(['sleep', '61']); time.sleep(60)"
    supervisor.start([Program("stub", python(code))])
    until(lambda: running(tmp_path, "sleep"))
    orphan = running(tmp_path, "sleep")[0]

    orphan.parent().kill()

    until(lambda: orphan not in running(tmp_path, "sleep"), supervisor)


def test_stop_ends_a_process_that_ignores_requests(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "aegisml.up.supervisor.GOODBYES", ((signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0))
    )
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); time.sleep(60)"
    supervisor.start([Program("stub", python(code))])
    until(lambda: "on" in log(tmp_path))

    supervisor.stop()

    assert ours(tmp_path) == []


def test_a_command_on_the_side_gives_its_status(supervisor):
    assert supervisor.run(python("raise SystemExit(3)"), {}) == 3


def test_a_command_on_the_side_ends_with_a_request_to_stop(supervisor, tmp_path):
    supervisor._on_signal()

    with pytest.raises(StopAsked):
        supervisor.run(SLEEP, {})

    assert ours(tmp_path) == []


def test_a_program_that_does_not_exist_is_said_to_be_missing(supervisor):
    supervisor.start([Program("stub", ["/no/such/program"])])

    with pytest.raises(GaveUp, match="/no/such/program: No such file or directory"):
        until(lambda: False, supervisor)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends leftovers")
def test_processes_end_with_a_supervisor_that_is_killed(tmp_path):
    code = (
        "import sys, pathlib; from aegisml.up.supervisor import Supervisor;"
        "from aegisml.up.programs import Program;"
        "s = Supervisor(pathlib.Path(sys.argv[1]), verbose=False);"
        "s.start([Program('stub', ['sleep', '60'])])\n"
        "while True: s.tick()"
    )
    with subprocess.Popen([*python(code), str(tmp_path)], stdout=subprocess.DEVNULL) as parent:
        until(lambda: running(tmp_path, "sleep"))
        os.kill(parent.pid, signal.SIGKILL)

    until(lambda: not ours(tmp_path))
