"""Filling holes and scaling, learned from the training rows and carried inside the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.ml.algorithms.contract import INPUT
from training.ml.algorithms.graphs import Graph
from training.ml.part import Matrix, Part

# A value further out counts as this many standard deviations: what no training row was like
# must not overflow a float32 or drown all other columns.
FURTHEST = 20.0

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scaler:
    """(x - mean) / sd for each of a matrix's columns; a hole becomes 0, the mean.

    Columns in `holes`, those that had any in training, also become a column that is 1 where the
    value is missing, after all others.
    """

    mean: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]
    holes: npt.NDArray[np.int64]

    @property
    def width(self) -> int:
        """Columns of what `apply` gives."""
        return len(self.mean) + len(self.holes)

    @classmethod
    def learned(cls, part: Part, watch: Callable[[], None]) -> "Scaler":
        """Mean and sd of each column, in one pass; calls `watch` after each batch."""
        counts = np.zeros(part.width)
        mean = np.zeros(part.width)
        squares = np.zeros(part.width)
        for batch in part.batches():
            watch()
            counts, mean, squares = _joined((counts, mean, squares), batch)
        sd = np.sqrt(squares / np.maximum(counts, 1))
        factor = _factor(mean, sd)
        return cls(
            np.where(factor > 0, mean, 0).astype(np.float32),  # 0 * inf would be a hole again
            factor,
            np.flatnonzero(counts < len(part)).astype(np.int64),
        )

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What it is made of, for files; `Scaler(**tensors)` is the way back."""
        return {"mean": self.mean, "factor": self.factor, "holes": self.holes}

    def pooled(self, start: int, steps: int, size: int) -> "Scaler":
        """With one scale for the same number in all steps of the sequence at `start`."""
        chosen = slice(start, start + steps * size)
        factor = self.factor[chosen].astype(np.float64).reshape(steps, size)
        mean = self.mean[chosen].astype(np.float64).reshape(steps, size)
        spread = np.where(factor > 0, 1 / np.where(factor > 0, factor, 1), 0)
        variance = (spread**2 + (mean - mean.mean(axis=0)) ** 2).mean(axis=0)
        changed = Scaler(self.mean.copy(), self.factor.copy(), self.holes)
        changed.mean[chosen] = np.tile(mean.mean(axis=0), steps)
        changed.factor[chosen] = np.tile(_factor(mean.mean(axis=0), np.sqrt(variance)), steps)
        return changed

    def apply(self, matrix: Matrix) -> Matrix:
        """Shape (n, width), finite."""
        with np.errstate(over="ignore"):
            scaled = (matrix - self.mean) * self.factor
        missing = np.isnan(matrix)
        scaled[missing] = 0
        np.clip(scaled, -FURTHEST, FURTHEST, out=scaled)
        if not len(self.holes):
            return scaled
        return np.hstack([scaled, missing[:, self.holes].astype(np.float32)])

    def add_to(self, graph: Graph, value: str = INPUT) -> str:
        """The same as ONNX nodes."""
        missing = graph.add("IsNaN", value)
        filled = graph.add("Where", missing, graph.constant(self.mean), value)
        centered = graph.add("Sub", filled, graph.constant(self.mean))
        scaled = graph.add("Mul", centered, graph.constant(self.factor))
        ends = graph.constant(np.float32(-FURTHEST)), graph.constant(np.float32(FURTHEST))
        clipped = graph.add("Clip", scaled, *ends)
        if not len(self.holes):
            return clipped
        flags = graph.add("Cast", graph.columns(self.holes, missing), to=1)
        return graph.add("Concat", clipped, flags, axis=1)


def _factor(mean: Numbers, sd: Numbers) -> npt.NDArray[np.float32]:
    """1 / sd, but 0 for a constant, of which rounding leaves a tiny sd."""
    constant = sd <= 1e-6 * np.abs(mean)
    found = np.where(constant, 0, 1 / np.where(constant, 1, sd))
    return np.minimum(found, np.finfo(np.float32).max).astype(np.float32)


_Moments = tuple[Numbers, Numbers, Numbers]


def _joined(before: _Moments, batch: Matrix) -> _Moments:
    """Count, mean and sum of squared deviations with the batch's (Chan, Golub and LeVeque 1983)."""
    values = batch.astype(np.float64)
    known = ~np.isnan(values)
    counts = known.sum(axis=0).astype(np.float64)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1)
    squares = (np.where(known, values - mean, 0) ** 2).sum(axis=0)
    total = before[0] + counts
    step = mean - before[1]
    share = counts / np.maximum(total, 1)
    return (
        total,
        before[1] + step * share,
        before[2] + squares + step**2 * before[0] * share,
    )
