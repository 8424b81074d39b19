"""`make up` as a new user runs it: real engines, real servers, a temporary folder."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from aegisml import embedded
from aegisml.config import Server
from aegisml.embedded import processes, state
from aegisml.up import guards
from aegisml.up.banner import banner

READY = "AegisShield ML is ready"
# Beside other xdist workers the platform has a part of a small machine.
RESTART_SECONDS = 60 if "PYTEST_XDIST_WORKER" in os.environ else 15


class Platform:
    """One `up` in a folder and on ports of its own."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port, *others = self.free_ports()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AEGIS")},
            "AEGIS__VAR_DIR": str(var),
            "AEGIS__ML__TRAINING__DATA_ROOT": str(var / "datasets"),
            "AEGIS__SERVER__HTTP_PORT": str(self.port),
            "AEGIS__SERVER__GRPC_PORT": str(others[0]),
            "AEGIS__SERVER__METRICS_PORT": str(others[1]),
        }

    @staticmethod
    def free_ports() -> list[int]:
        return [state.free_port() for _ in range(3)]

    def start(self) -> None:
        self.output = self.var / f"up-{time.monotonic()}.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aegisml.up"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_until(self, said: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while said not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def status(self, path: str = "/readyz") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse().status

    def processes(self) -> list[psutil.Process]:
        mark = processes.mark(state.folder(self.var))
        engines = processes.marked(mark, "postgres") + processes.marked(mark, "redis-server")
        ours = [p for p in psutil.process_iter() if guards._is_ours(p, self.var)]
        return [process for process in engines + ours if processes.is_alive(process)]

    def paste_banner(self, password: str) -> str:
        lines = self.text()
        lines = lines[lines.index("TOKEN=") : lines.index("Ctrl-C ends everything")]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            env={**os.environ, "PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def password(self) -> str:
        rows = [line.split() for line in self.text().splitlines()]
        return next(row[2] for row in rows if row[:1] == ["admin"] and len(row) == 3)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def kill_the_tree(self) -> None:
        self.process.kill()
        self.process.wait()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
def platform() -> Iterator[Platform]:
    var = Path(tempfile.mkdtemp(prefix="aegisml-up-"))
    var.chmod(0o755)
    platform = Platform(var)
    yield platform
    platform.kill_the_tree()
    embedded.stop(var)
    shutil.rmtree(var)


@pytest.mark.slow
def test_the_platform_comes_up_survives_kill_9_and_goes_down_cleanly(platform):
    platform.start()
    platform.wait_until(READY, seconds=300)
    assert '"decision"' in platform.paste_banner(platform.password())

    platform.kill_the_tree()
    began = time.monotonic()
    platform.start()
    platform.wait_until("readyz: done", seconds=120)
    took = time.monotonic() - began
    assert platform.status() == 200
    assert took < RESTART_SECONDS

    platform.wait_until(READY, seconds=120)
    assert platform.interrupt() == 0
    assert "Traceback" not in platform.text()
    assert platform.processes() == []


@pytest.mark.slow
def test_a_killed_web_server_is_back_without_a_hand(platform):
    platform.start()
    platform.wait_until("grpc started", seconds=180)

    master = next(p for p in platform.processes() if "granian" in " ".join(p.cmdline()))
    master.kill()

    platform.wait_until("web was killed by signal 9", seconds=10)
    deadline = time.monotonic() + 60
    status = 0
    while status != 200 and time.monotonic() < deadline:
        with suppress(OSError):
            status = platform.status()
        time.sleep(0.2)
    assert status == 200


@pytest.mark.slow
def test_ctrl_c_while_starting_leaves_nothing_behind(platform):
    platform.start()
    platform.wait_until("PostgreSQL and Redis: done", seconds=60)

    assert platform.interrupt() == 0
    assert platform.processes() == []


def test_the_banner_is_valid_shell():
    text = banner(Server(), logs="var/logs")
    lines = text[text.index("PASSWORD=") : text.index("Ctrl-C")]

    assert subprocess.run(["bash", "-n", "-c", lines], check=False).returncode == 0


def test_the_banner_names_an_address_that_can_be_connected_to():
    text = banner(Server(host="0.0.0.0", http_port=9000), logs="var/logs")

    assert "http://127.0.0.1:9000/admin/" in text
