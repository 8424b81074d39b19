"""A real Celery worker for trainings, as processes of its own, over the tests' engines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
from django.conf import settings
from django.db import connection

from training.models import TrainingJob

Found = TypeVar("Found")
CELERY = ["-m", "celery", "-A", "aegisml"]
DEAF = ["-m", "tests.faults.deaf_celery"]  # its fits never look up from their work


class Trainer:
    """A running worker with a pool of one process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.master = psutil.Process(process.pid)
        self.log = log

    def child(self) -> psutil.Process:
        """The process that trains."""
        return wait_for(lambda: next(iter(self.master.children()), None), "a pool process", 60)


@contextmanager
def trainer(
    folder: Path, *, program: list[str] = CELERY, name: str = "tests", **limits: object
) -> Iterator[Trainer]:
    """A worker on the test database and `folder`; `limits` are keys of ml.training."""
    environment = {
        **os.environ,
        "AEGIS__DATABASE__NAME": connection.settings_dict["NAME"],
        "AEGIS__VAR_DIR": str(folder),
        "AEGIS__ML__TRAINING__DATA_ROOT": str(settings.DATA_ROOT),
        "AEGIS__SECURITY__JWT_KEY": settings.JWT_KEY,
        "AEGIS__SECURITY__SECRET_KEY": settings.SECRET_KEY,
        "AEGIS__LOGGING__LEVEL": "INFO",
        **{f"AEGIS__ML__TRAINING__{key.upper()}": str(value) for key, value in limits.items()},
    }
    command = [
        sys.executable, *program, "worker", "--queues=training", "--concurrency=1",
        f"--hostname={name}@%h", "--without-gossip", "--without-mingle", "--loglevel=INFO",
    ]  # fmt: skip
    path = folder / "trainer.log"
    with path.open("a") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    found = Trainer(process, path)
    try:
        found.child()
        yield found
    finally:
        family = found.master.children(recursive=True) if found.master.is_running() else []
        process.kill()
        process.wait(timeout=30)
        for member in family:
            if member.is_running():
                member.kill()


def wait_for(look: Callable[[], Found | None], what: str, seconds: float) -> Found:
    """What `look` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {seconds:g} seconds")


def fitting(job: TrainingJob, percent: int = 0, seconds: float = 120) -> TrainingJob:
    """The job, once it is so far in its fit."""

    def look() -> TrainingJob | None:
        job.refresh_from_db()
        assert not job.is_finished, f"{job.status}: {job.error}\n{job.log}"
        return job if job.step.startswith("fit") and job.progress >= percent else None

    return wait_for(look, f"fit of {job} at {percent} %", seconds)


def over(job: TrainingJob, seconds: float) -> TrainingJob:
    """The job, once it is over."""

    def look() -> TrainingJob | None:
        job.refresh_from_db()
        return job if job.is_finished else None

    return wait_for(look, f"end of {job}", seconds)
