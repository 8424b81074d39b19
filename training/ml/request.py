"""What a training is asked to do, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from training.ml import columns
from training.ml.algorithms.contract import Checkpoints, NoCheckpoints, Round
from training.ml.split import SplitRequest
from training.ml.thresholds import PolicyRequest


class Reporter(Protocol):
    """Where the pipeline tells how far it is. Each call may raise `Cancelled`."""

    def step(self, name: str, percent: int) -> None: ...
    def log(self, line: str) -> None: ...
    def round(self, done: Round, percent: int) -> None: ...
    def tick(self) -> None:
        """Nothing new, but this is a good place to stop."""


@dataclass(frozen=True)
class Evaluation:
    """What the evaluation looks at besides label and score, by column; None: it isn't there.

    `keep_known` leaves test rows of entities with a known fraud in the test, which needs an
    override.
    """

    amount: str | None = None
    entity: str | None = None
    segments: Sequence[str] = ()
    typology: str | None = None
    alerts_per_day: int = 100
    keep_known: bool = False

    @property
    def names(self) -> list[str]:
        named = (self.amount, self.entity, self.typology, *self.segments)
        return [name for name in named if name]


def _not_resumed(fit: str, digest: str) -> Checkpoints:
    return NoCheckpoints()


@dataclass(frozen=True)
class Request:
    """What to train: a name for the card, the algorithm and its numbers, columns, split, ...

    `dataset_name` tells the file's format; `origin` is what the lineage says about where the
    rows come from. With `refit` the model is fitted again on train and validation rows once
    everything is chosen. `overrides` are reasons, by the kind of evidence that they let pass.
    `checkpoints(name, digest)` keeps the state of the fit called `name`; the digest changes with
    anything that the fit depends on. `members` are the models that an ensemble joins.
    """

    model: str
    algorithm: str
    dataset_name: str
    hyperparameters: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    choices: columns.Choices = field(default_factory=columns.Choices)
    split: SplitRequest = field(default_factory=SplitRequest)
    evaluation: Evaluation = field(default_factory=Evaluation)
    policy: PolicyRequest = field(default_factory=PolicyRequest)
    calibration: str = "auto"
    refit: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Callable[[str, str], Checkpoints] = _not_resumed
    max_bytes: int = 4 * 1024**3
    scratch: Path | None = None
    threads: int = 1


@dataclass(frozen=True)
class Trained:
    """The files of a bundle and the evidence about it."""

    files: dict[str, bytes]
    metrics: dict[str, Any]
    signature: dict[str, Any]
    lineage: dict[str, Any]
