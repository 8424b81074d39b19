"""Logistic regression by Newton's method: one pass over the rows per step, so that they stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit
from sklearn.metrics import average_precision_score

from training.ml.algorithms import states
from training.ml.algorithms.contract import Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.algorithms.scaling import Scaler
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = False
NEEDS_LABELS = True
_TOLERANCE = 1e-6  # of the mean gradient
_HALVINGS = 20
_CELLS = 4_000_000  # of a batch: a tenth of a second

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """Weights of the scaled columns, and last the intercept."""

    scaler: Scaler
    weights: Numbers
    steps: int
    parameters: Mapping[str, Any]

    @property
    def rounds(self) -> int:
        return self.steps

    def predict(self, matrix: Matrix) -> Scores:
        return np.asarray(expit(_with_ones(self.scaler.apply(matrix)) @ self.weights))

    def native(self) -> tuple[str, bytes]:
        return "model.safetensors", save({**self.scaler.tensors(), "weights": self.weights})

    def onnx(self) -> bytes:
        graph = Graph()
        columns = self.scaler.add_to(graph)
        weights = graph.constant(self.weights[:-1, None])
        margin = graph.add("Gemm", columns, weights, graph.constant(self.weights[-1:]))
        return graph.bytes_of(len(self.scaler.mean), graph.pair(graph.add("Sigmoid", margin)))

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        """Exact: each column's own part of the sum, less the reference's."""
        width = len(self.scaler.mean)
        parts = (self.scaler.apply(matrix) - self.scaler.apply(reference)) * self.weights[:-1]
        found = parts[:, :width].astype(np.float64)
        found[:, self.scaler.holes] += parts[:, width:]
        return found

    def refit_parameters(self) -> dict[str, Any]:
        return dict(self.parameters)


@dataclass(frozen=True)
class _Point:
    """Weights, and the penalized loss there with its gradient and Hessian."""

    weights: Numbers
    loss: float
    gradient: Numbers
    hessian: Numbers


@dataclass(frozen=True)
class _Problem:
    """The penalized sum of log-losses; the intercept isn't penalized."""

    train: Part
    scaler: Scaler
    penalty: Numbers
    class_weights: Numbers
    watch: Callable[[], None]

    def at(self, weights: Numbers) -> _Point:
        loss = float(self.penalty @ weights**2) / 2
        gradient, hessian = self.penalty * weights, np.diag(self.penalty)
        start = 0
        for batch in self.train.batches(max(1024, _CELLS // len(weights))):
            self.watch()
            truth = self.train.truth[start : start + len(batch)]
            start += len(batch)
            importance = self.class_weights[truth]
            columns = _with_ones(self.scaler.apply(batch))
            margin = columns @ weights
            scores = expit(margin)
            loss += float(importance @ np.logaddexp(0, np.where(truth == 1, -margin, margin)))
            gradient += columns.T @ (importance * (scores - truth))
            hessian += columns.T @ (columns * (importance * scores * (1 - scores))[:, None])
        return _Point(weights, loss, gradient, hessian)

    def better(self, point: _Point) -> _Point | None:
        """After Newton's step, halved while it overshoots; None where there is none."""
        if np.abs(point.gradient).max() <= _TOLERANCE * len(self.train):
            return None
        try:
            direction = cho_solve(cho_factor(point.hessian), point.gradient)
        except LinAlgError:  # the weights of rows that are all sure underflow
            return None
        expected = float(point.gradient @ direction)
        for halving in range(_HALVINGS):
            share = 0.5**halving
            moved = self.at(point.weights - share * direction)
            if moved.loss <= point.loss - 1e-4 * share * expected:  # Armijo's rule
                return moved
        return None


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Take Newton's steps until the gradient is next to nothing."""
    total = int(parameters["max_iterations"])
    done = 0

    def watch() -> None:
        context.watch(Round(done, total))

    state = context.checkpoints.load()
    if state is None:
        scaler = Scaler.learned(train, watch)
        weights = np.zeros(scaler.width + 1)
    else:
        done, scaler, weights = _resumed(state)
    penalty = np.full(len(weights), 1 / float(parameters["c"]))
    penalty[-1] = 1e-9  # a guard: rows of one label have no best intercept
    importance = _class_weights(train, parameters["class_weight"])
    problem = _Problem(train, scaler, penalty, importance, watch)
    point = problem.at(weights)
    while done < total and (moved := problem.better(point)):
        point, done = moved, done + 1
        if context.checkpoints.is_due():
            context.checkpoints.save(_state(done, scaler, point.weights))
        fitted = Fitted(scaler, point.weights, done, dict(parameters))
        context.watch(Round(done, total, _measured(fitted, point, train, validation)))
    return Fitted(scaler, point.weights, done, dict(parameters))


def _with_ones(columns: Matrix) -> Numbers:
    found = np.ones((len(columns), columns.shape[1] + 1))
    found[:, :-1] = columns
    return found


def _class_weights(train: Part, how: str) -> Numbers:
    if how != "balanced":
        return np.ones(2)
    counts = np.bincount(train.truth, minlength=2)
    return len(train) / (2.0 * np.maximum(counts, 1))


def _measured(
    fitted: Fitted, point: _Point, train: Part, validation: Part | None
) -> dict[str, float]:
    found = {"train_loss": point.loss / max(len(train), 1)}
    if validation is not None:
        scores = np.concatenate([fitted.predict(batch) for batch in validation.batches()])
        found["validation_ap"] = float(average_precision_score(validation.truth, scores))
    return found


def _state(done: int, scaler: Scaler, weights: Numbers) -> bytes:
    return states.pack({"done": done}, save({**scaler.tensors(), "weights": weights}))


def _resumed(state: bytes) -> tuple[int, Scaler, Numbers]:
    header, body = states.unpack(state)
    tensors = load(body)
    weights = tensors.pop("weights")
    return int(header["done"]), Scaler(**tensors), weights
