"""How a job ends, by what stopped it."""

import errno
from dataclasses import dataclass, field
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError

from aegisml.base.errors import AegisError, Transient
from training.choices import JobStatus
from training.holding import HandedBack, OutOfTime, out_of_time
from training.ml.errors import Cancelled, LeakSuspected, TrainingError

NO_SPACE = (
    "The disk is full, and nothing of the version was kept."
    " Make room on the worker's machine, then run the training again."
)
NO_MEMORY = (
    "The worker's memory does not suffice for this training."
    " Use fewer rows or columns, or a worker with more memory."
)
DATABASE = "The database was not reachable for a moment."
INTERNAL = "An internal error; the worker's log has the details."


@dataclass(frozen=True)
class Verdict:
    """The status that a job ends with and a sentence about it; queued: another worker goes on.

    `is_transient`: the same may well go through in a moment. `is_bug`: nobody expected it, and
    the trace must reach the log.
    """

    status: JobStatus
    error: str = ""
    error_field: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    is_transient: bool = False
    is_bug: bool = False


def of(stopped: Exception, *, source_field: str) -> Verdict:  # noqa: C901, PLR0911 - a table
    """`source_field` is the request's field for what the job trains on."""
    match stopped:
        case Cancelled():
            return Verdict(JobStatus.CANCELLED)
        case HandedBack():
            return Verdict(JobStatus.QUEUED)
        case OutOfTime() | SoftTimeLimitExceeded():
            return Verdict(JobStatus.FAILED, out_of_time())
        case LeakSuspected():
            leaks = [found.to_json() for found in stopped.evidence]
            return Verdict(JobStatus.LEAK_SUSPECTED, stopped.message, metrics={"leaks": leaks})
        case TrainingError():
            return Verdict(JobStatus.FAILED, str(stopped), stopped.field)
        case Transient():
            return Verdict(JobStatus.ERRORED, stopped.detail, is_transient=True)
        case OperationalError() | InterfaceError():
            return Verdict(JobStatus.ERRORED, DATABASE, is_transient=True)
        case AegisError():
            named = stopped.errors[0].field if stopped.errors else source_field
            return Verdict(JobStatus.FAILED, stopped.detail, named)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Verdict(JobStatus.ERRORED, NO_SPACE)
        case MemoryError():
            return Verdict(JobStatus.ERRORED, NO_MEMORY)
    return Verdict(JobStatus.ERRORED, INTERNAL, is_bug=True)
