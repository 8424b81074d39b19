"""What happened to a job since somebody looked: the events of its live stream.

The id of each event tells everything that was sent up to it, so that a client that comes back
with it (`Last-Event-ID`) gets what is new, from whichever process answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from training.models import TrainingJob
from training.queue import why_waiting

END = "end"
_PARTS = 6


@dataclass(frozen=True)
class Seen:
    """How far somebody is: the status and progress that they know, log lines and rounds that
    they have, of which attempt."""

    status: str = ""
    progress: int = -1
    lines: int = 0
    round: int = 0
    attempt: int = 0
    is_end: bool = False

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """From an event's id; from the beginning when it isn't one."""
        parts = text.split(".")
        if len(parts) != _PARTS or not all(_is_number(part) for part in parts[1:]):
            return cls()
        progress, lines, number, attempt, end = (int(part) for part in parts[1:])
        return cls(parts[0], progress, lines, number, attempt, bool(end))

    def __str__(self) -> str:
        numbers = (self.progress, self.lines, self.round, self.attempt, int(self.is_end))
        return ".".join([self.status, *(str(max(0, number)) for number in numbers)])


@dataclass(frozen=True)
class Event:
    """One event: its kind, its data, and how far the reader is with it."""

    kind: str
    data: dict[str, Any]
    seen: Seen


def since(job: TrainingJob, seen: Seen) -> Iterator[Event]:
    """The events after `seen`: status, log lines, metrics per round, progress, and the end."""
    if job.status != seen.status:
        seen = replace(seen, status=job.status)
        yield Event("status", _status(job), seen)
    for number, line in _lines(job, seen.lines):
        seen = replace(seen, lines=number)
        yield Event("log", {"line": line}, seen)
    if job.attempts != seen.attempt:
        last = max((point["round"] for point in job.points), default=0)
        begins_anew = last < seen.round
        seen = replace(seen, attempt=job.attempts, round=0 if begins_anew else seen.round)
    for point in job.points:
        if point["round"] > seen.round:
            seen = replace(seen, round=point["round"])
            yield Event("metrics", point, seen)
    if job.progress != seen.progress:
        seen = replace(seen, progress=job.progress)
        yield Event("progress", _progress(job), seen)
    if job.is_finished:
        yield Event(END, _end(job), replace(seen, is_end=True))


def _status(job: TrainingJob) -> dict[str, Any]:
    return {"status": job.status, "attempt": job.attempts, "waiting_for": why_waiting(job)}


def _progress(job: TrainingJob) -> dict[str, Any]:
    return {"progress": job.progress, "step": job.step, "eta_seconds": job.eta_seconds}


def _end(job: TrainingJob) -> dict[str, Any]:
    return {
        "status": job.status,
        "version": job.version.number if job.version else None,
        "error": job.error,
        "error_field": job.error_field,
        "leaks": job.leaks,
        "metrics": job.metrics.get("test"),
    }


def _lines(job: TrainingJob, after: int) -> list[tuple[int, str]]:
    """The kept lines after number `after`, with their numbers."""
    kept = job.log.splitlines()
    first = job.log_lines - len(kept) + 1
    return [(n, line) for n, line in enumerate(kept, first) if n > after]


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) < 10  # noqa: PLR2004
