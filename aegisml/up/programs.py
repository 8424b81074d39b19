"""The processes of the platform: their commands and environments."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aegisml.config import BASE_DIR, Config
from aegisml.up import child
from aegisml.up.guards import MARK

MANAGE = [sys.executable, str(BASE_DIR / "manage.py")]
CELERY = [sys.executable, "-m", "celery", "-A", "aegisml"]
# Models are scored one row at a time, where a second thread only costs.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
DEMO_NEEDED = 10  # how `prepare` ends when the demo has to be made
UNLIMITED = {"AEGIS_DATABASE_LIMITS": "off"}


@dataclass(frozen=True)
class Program:
    """A process to keep running."""

    name: str
    command: list[str]
    extra: Mapping[str, str] = field(default_factory=dict)


def servers(config: Config) -> list[Program]:
    """What answers at a port."""
    return [
        Program("web", _granian(config), ONE_THREAD),
        Program("grpc", [*MANAGE, "serve_grpc"], ONE_THREAD),
        Program("metrics", [sys.executable, "-m", "aegisml.metrics"]),
    ]


def workers(config: Config) -> list[Program]:
    """What works behind the servers."""
    tasks = config.ml.training.max_workers
    return [
        # Training takes what serving leaves.
        Program("training", ["nice", "-n", "10", *_worker("training", tasks)], UNLIMITED),
        # Beat rides along: a process of its own would load everything once more. A fleet, with
        # more than one worker for chores, needs it apart: celery -A aegisml beat.
        Program("chores", [*_worker("chores", 1), "--beat"], UNLIMITED),
        Program("shipper", [*MANAGE, "ship_predictions"], UNLIMITED),
    ]


def _worker(queue: str, tasks: int) -> list[str]:
    return [
        *CELERY,
        "worker",
        f"--queues={queue}",
        f"--concurrency={tasks}",
        "--loglevel=INFO",
        f"--hostname={queue}@%h",
        # Both are for fleets, and cost a second at each start.
        "--without-gossip",
        "--without-mingle",
    ]


def _granian(config: Config) -> list[str]:
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface=wsgi",
        f"--host={config.server.host}",
        f"--port={config.server.http_port}",
        f"--workers={config.server.workers}",
        # One request at a time and worker: scoring is CPU work, more threads only add latency.
        "--blocking-threads=1",
        "--no-ws",
        "--loop=asyncio",
        "--backlog=1024",
        "--backpressure=512",
        "--respawn-failed-workers",
        "--workers-kill-timeout=5",
        "aegisml.up.web:application",
    ]


def environment(var: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aegisml.settings",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(var)),
        "PYTHONUNBUFFERED": "1",
        MARK: str(var),
        **(extra or {}),
    }


def bound_to_us(command: list[str]) -> list[str]:
    """The command, made to end with this process."""
    return [sys.executable, "-I", child.__file__, str(os.getpid()), *command]


def metrics_folder(var: Path) -> Path:
    return var / "metrics"


def empty_metrics(var: Path) -> None:
    """Forget the counters of processes that are gone: they would be added up forever."""
    shutil.rmtree(metrics_folder(var), ignore_errors=True)
    metrics_folder(var).mkdir(parents=True)
