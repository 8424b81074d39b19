"""What every algorithm is to the pipeline: one function that fits, one object that was fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models_app.ml.signature import Signature
from training.ml.part import Matrix, Part

Scores = npt.NDArray[np.float64]
Contributions = npt.NDArray[np.float64]

# names of the only input and of the output that is read: (n, width) float32 -> (n, 2) float32
INPUT, OUTPUT = "input", "probabilities"
OPSET = 17


@dataclass(frozen=True)
class Round:
    """How far a fit is: `done` of `total` trees or epochs, and what was measured after it, such
    as {"validation_ap": 0.61, "train_loss": 0.02}."""

    done: int
    total: int
    metrics: Mapping[str, float] = field(default_factory=dict)


class Checkpoints(Protocol):
    """Where a fit leaves its state, so that another process can go on from it."""

    def load(self) -> bytes | None:
        """What was saved last for this very fit, or None."""

    def is_due(self) -> bool:
        """Whether the last save is long enough ago for saving to be worth its time."""

    def save(self, state: bytes) -> None: ...


class Watcher(Protocol):
    """Told after each tree, epoch or other unit of about a second; raises `Cancelled` to stop."""

    def __call__(self, done: Round) -> None: ...


class NoCheckpoints:
    """For fits that nobody resumes."""

    def load(self) -> bytes | None:
        return None

    def is_due(self) -> bool:
        return False

    def save(self, state: bytes) -> None:
        """Forget it."""


@dataclass(frozen=True)
class Context:
    """What a fit may use: `signature` tells the matrix's columns, `members` are the ONNX models
    that an ensemble joins, by name."""

    seed: int
    threads: int
    signature: Signature
    watch: Watcher
    checkpoints: Checkpoints = field(default_factory=NoCheckpoints)
    members: Mapping[str, Any] = field(default_factory=dict)


class Fitted(Protocol):
    """A trained model and the ways out of it."""

    @property
    def rounds(self) -> int:
        """Trees, epochs or iterations that the model keeps."""

    def predict(self, matrix: Matrix) -> Scores:
        """Scores of fraud, shape (n,), in [0, 1], before calibration."""

    def onnx(self) -> bytes:
        """The model as ONNX: INPUT (n, width) float32 -> OUTPUT (n, 2) float32. NaN rows too
        score as `predict` scores them, within 1e-5."""

    def native(self) -> tuple[str, bytes]:
        """The library's own file: its name in the bundle, and its bytes. Never a pickle."""

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        """What each column adds to each row's log-odds, shape (n, width).

        A row's contributions sum to the difference of its log-odds and those of `reference`,
        shape (1, width), or of the training rows' mean where the algorithm has its own baseline.
        """

    def refit_parameters(self) -> dict[str, Any]:
        """The parameters for fitting again on more rows without validation rows: those of this
        fit, with as many rounds as turned out best."""


class Algorithm(Protocol):
    """A module under `training.ml.algorithms`."""

    TAKES_SEQUENCES: bool
    NEEDS_LABELS: bool

    def fit(
        self,
        train: Part,
        validation: Part | None,
        parameters: Mapping[str, Any],
        context: Context,
    ) -> Fitted:
        """Train on `train`, watching average precision on `validation` where there is one.

        The same arguments give the same model, also when the fit was broken off and goes on from
        a checkpoint. Raises `TrainingError` naming the parameter or column that is wrong.
        """
