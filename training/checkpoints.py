"""Where fits leave their state, so that a job whose worker died goes on in another.

A checkpoint is a file of the job. Its name comes from what the fit is of (data, split,
parameters, libraries: the digest that the pipeline gives), so that a fit goes on from its own
state only, and it carries the SHA-256 of its content: what a killed worker or a full disk left
half written is no checkpoint.
"""

import hashlib
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog
from django.conf import settings

from aegisml.base import ids
from training.models import TrainingJob

log = structlog.get_logger(__name__)

MAGIC = b"aegis-checkpoint-1\n"
_HASH = 32  # bytes


@dataclass
class FileCheckpoints:
    """The checkpoint of one fit (see `training.ml.algorithms.contract.Checkpoints`)."""

    path: Path
    every: float  # seconds
    _saved_at: float = field(default_factory=time.monotonic)

    def load(self) -> bytes | None:
        """What was saved last for this very fit, or None."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        start = len(MAGIC) + _HASH
        state = content[start:]
        if content[:start] != MAGIC + hashlib.sha256(state).digest():
            log.warning("checkpoint is damaged and not used", path=str(self.path))
            return None
        return state

    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.every

    def save(self, state: bytes) -> None:
        """Keep `state` in place of what was saved before; a full disk costs the checkpoint, not
        the fit."""
        self._saved_at = time.monotonic()
        scratch = self.path.with_suffix(f".{os.getpid()}.writing")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("wb") as file:
                file.write(MAGIC + hashlib.sha256(state).digest())
                file.write(state)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.path)
        except OSError as error:
            log.warning("checkpoint not written", path=str(self.path), error=error.strerror)
            with suppress(OSError):
                scratch.unlink(missing_ok=True)


@dataclass(frozen=True)
class JobCheckpoints:
    """The checkpoints of a job: called with a fit's name and digest, gives those of the fit."""

    job_id: UUID

    def __call__(self, fit_name: str, digest: str) -> FileCheckpoints:
        key = hashlib.sha256(f"{self.job_id}\0{fit_name}\0{digest}".encode()).hexdigest()[:32]
        return FileCheckpoints(
            _folder(self.job_id) / f"{key}.state", settings.TRAINING.checkpoint_seconds
        )


def discard(job_id: UUID) -> None:
    """Delete what a job left: it is over."""
    shutil.rmtree(_folder(job_id), ignore_errors=True)


def clear_leftovers() -> int:
    """Delete the checkpoints of jobs that are over, or unknown; gives how many jobs."""
    # listed before the jobs are asked: a folder that is listed was made by a job that had begun
    folders = [path for path in _root().glob("*") if path.is_dir()]
    unfinished = set(TrainingJob.objects.open().values_list("pk", flat=True))
    gone = [path for path in folders if ids.parse_uuid(path.name) not in unfinished]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _root() -> Path:
    return Path(settings.CHECKPOINT_ROOT)


def _folder(job_id: UUID) -> Path:
    return _root() / str(job_id)
