"""From a model's score to a probability: a monotone curve that keeps the order of scores."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Method = Literal["none", "isotonic", "platt"]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A rising line through the points (x, y), both in [0, 1], straight between them.

    Between the same x's serving and training give the same number to the bit: both walk
    `apply`.
    """

    method: Method = "none"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.method == "none":
            return
        if len(self.x) != len(self.y) or len(self.x) < 2:  # noqa: PLR2004 - a line has two ends
            raise ValueError("a calibration needs as many y as x, at least two")
        if _falls(self.x, strictly=True) or _falls(self.y, strictly=False):
            raise ValueError("a calibration must rise")
        if self.y[0] < 0 or self.y[-1] > 1:
            raise ValueError("a calibration must give probabilities")

    def apply(self, scores: npt.NDArray[np.floating[Any]]) -> Scores:
        """Probabilities, shape (n,), of raw scores."""
        numbers = scores.astype(np.float64)
        if self.method == "none":
            return numbers
        return np.interp(numbers, self.x, self.y)

    def apply_one(self, score: float) -> float:
        """The probability of one raw score: `apply` without the price of an array."""
        if self.method == "none":
            return score
        x, y = self.x, self.y
        place = bisect_right(x, score)
        if place == 0:
            return y[0]
        if place == len(x):
            return y[-1]
        low, high = x[place - 1], x[place]
        slope = (y[place] - y[place - 1]) / (high - low)
        return slope * (score - low) + y[place - 1]

    def to_json(self) -> dict[str, Any]:
        return {"method": self.method, "x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Raises KeyError, TypeError or ValueError for anything that `to_json` didn't make."""
        return cls(data["method"], tuple(data["x"]), tuple(data["y"]))


def _falls(values: Sequence[float], *, strictly: bool) -> bool:
    steps = np.diff(np.asarray(values, dtype=np.float64))
    return bool(np.any(steps <= 0) if strictly else np.any(steps < 0)) or bool(
        np.any(~np.isfinite(steps))
    )
