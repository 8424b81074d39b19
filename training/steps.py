"""The named steps of a training, in their order, and how far a job is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from training.choices import JobStatus
from training.models import TrainingJob

BUILD = "build training set"
FIT = "fit"
WRITE, REGISTER = "write bundle", "register"
AGAIN = "fit again"  # with the validation rows, for a job with refit
STEPS = (
    "load", "validate", "split", "preprocess", FIT, "calibrate", "choose thresholds", AGAIN,
    "evaluate", "profile", "export", "check parity", WRITE, REGISTER,
)  # fmt: skip
AFTER_FIT = STEPS[STEPS.index(FIT) + 1]
DONE = "done"
State = Literal["done", "now", "stopped", "open"]


@dataclass(frozen=True)
class Step:
    """A step with its state: `now` while it goes on, `stopped` where the job ended early.
    `seconds` tells how long it took, where that is known."""

    name: str
    state: State
    seconds: float | None


def of(job: TrainingJob) -> list[Step]:
    """The steps of a job's training."""
    skipped = () if job.parameters.get("refit") else (AGAIN,)
    built = () if job.feature_set_id is None else (BUILD,)
    names = tuple(name for name in (*built, *STEPS) if name not in skipped)
    took: Mapping[str, float] = job.metrics.get("seconds", {})
    at = _place(job, names)
    here: State = "stopped" if job.is_finished else "now"
    return [
        Step(name, "done" if i < at else here if i == at else "open", took.get(name))
        for i, name in enumerate(names)
    ]


def seconds_from(name: str, took: Mapping[str, float]) -> float | None:
    """How long the step of this name and those after it take, by how long they took before; None
    when nobody knows, or when it depends on how long a fit takes."""
    if name not in STEPS or name in (FIT, AGAIN) or not took:
        return None
    rest = STEPS[STEPS.index(name) :]
    return None if FIT in rest else sum(took.get(step, 0) for step in rest)


def _place(job: TrainingJob, names: tuple[str, ...]) -> int:
    """Which step a job is in; -1 before the first, after the last when it is done."""
    if job.status == JobStatus.SUCCEEDED:
        return len(names)
    name = job.step.partition(":")[0]
    return names.index(name) if name in names else -1
