"""A whole platform for the length of a benchmark: own folder, own ports, own engines."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300  # seconds


@dataclass
class Platform:
    """A running platform and an admin's token for it."""

    url: str
    var: Path
    password: str
    token: str = ""

    def log_in(self) -> None:
        pair = self.call("POST", "/auth/token", {"username": "admin", "password": self.password})
        self.token = pair["access"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; raises RuntimeError with the problem for a 4xx or 5xx."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def train(self, name: str, dataset: str, parameters: dict[str, Any]) -> Any:
        """Register a model, train it on a file below the data root, wait; gives the job."""
        self.log_in()
        self.call("POST", "/models", {"name": name, "algorithm": "xgboost"})
        body = {"dataset_path": dataset, "parameters": parameters}
        job = self.call("POST", f"/models/{name}/train", body)
        deadline = time.monotonic() + PATIENCE
        while job["status"] in ("queued", "running") and time.monotonic() < deadline:
            time.sleep(0.5)
            job = self.call("GET", f"/models/{name}/training-jobs/{job['id']}")
        if job["status"] != "succeeded":
            raise RuntimeError(f"training {name}: {job['status']}: {job['error']}")
        return job


@contextmanager
def running() -> Iterator[Platform]:
    """Start `python -m aegisml.up` in a temporary folder; everything is gone afterwards."""
    var = Path(tempfile.mkdtemp(prefix="aegisml-benchmark-"))
    var.chmod(0o755)  # the embedded database runs as a user of its own
    ports = _free_ports(3)
    environment = {
        **os.environ,
        "AEGIS__VAR_DIR": str(var),
        "AEGIS__SERVER__HTTP_PORT": str(ports[0]),
        "AEGIS__SERVER__GRPC_PORT": str(ports[1]),
        "AEGIS__SERVER__METRICS_PORT": str(ports[2]),
    }
    log = var / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "aegisml.up"],
            cwd=ROOT, env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _wait_until_ready(process, log)
        password = re.search(r"^\s*admin\s+admin\s+(\S+)$", log.read_text(), re.MULTILINE)
        assert password is not None
        yield Platform(f"http://127.0.0.1:{ports[0]}", var, password.group(1))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        shutil.rmtree(var, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while "is ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the platform did not start:\n{log.read_text()}")
        time.sleep(0.25)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
