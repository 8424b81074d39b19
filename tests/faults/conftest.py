"""The production web server, as processes of its own, over the tests' engines."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection


@dataclass(frozen=True)
class Served:
    """A running web server."""

    port: int
    master: psutil.Process

    def workers(self) -> list[psutil.Process]:
        return [p for p in self.master.children(recursive=True) if p.is_running()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_live(port: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the web server does not answer")


@pytest.fixture
def served(transactional_db: None, own_folders: Path) -> Iterator[Served]:
    """granian with two workers on the test database, writing to this test's own folder."""
    folder = own_folders
    port = free_port()
    environment = {
        **os.environ,
        "AEGIS__DATABASE__NAME": connection.settings_dict["NAME"],
        "AEGIS__VAR_DIR": str(folder),
        "AEGIS__SECURITY__JWT_KEY": settings.JWT_KEY,
        "AEGIS__SECURITY__SECRET_KEY": settings.SECRET_KEY,
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    (folder / "metrics").mkdir()
    command: list[Any] = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "aegisml.wsgi:application",
        "--port", str(port), "--workers", "2", "--blocking-threads", "1",
        "--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "5",
    ]  # fmt: skip
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    tree = Served(port, psutil.Process(process.pid))
    try:
        wait_until_live(port)
        yield tree
    finally:
        workers = tree.workers()
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
        for worker in workers:
            if worker.is_running():
                worker.kill()
