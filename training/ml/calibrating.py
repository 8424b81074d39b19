"""Fitting a calibration on validation rows, and whether it is worth having."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from models_app.ml.calibration import Calibration
from training.ml.metrics import Labels, Scores, expected_calibration_error

CHOICES = ("auto", "none", "isotonic", "platt")
FOLDS = 5
MIN_FRAUDS = 50  # with fewer, a curve with many steps fits their accidents
GRID = 257
ORDER_KEEPER = 1e-6
_EDGE = 1e-7

Fit = Callable[[Labels, Scores], Calibration]


@dataclass(frozen=True)
class Calibrated:
    """The curve that is kept, and the expected calibration error without and with it, both on
    rows that the curve wasn't fitted on."""

    curve: Calibration
    before: float
    after: float

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.curve.method, "ece_before": self.before, "ece_after": self.after
        }  # fmt: skip


def choose(labels: Labels, scores: Scores, *, wanted: str = "auto", seed: int = 0) -> Calibrated:
    """The calibration of `scores`, shape (n,) in [0, 1].

    "auto" tries isotonic (with enough frauds) and Platt and keeps the one with the smallest
    error, or none when the raw scores err less; a named one is kept on the same condition.
    """
    before = expected_calibration_error(labels, scores)
    best = Calibrated(Calibration(), before, before)
    for name in _candidates(labels, wanted):
        after = _held_out_error(FITS[name], labels, scores, seed)
        if after < best.after:
            best = Calibrated(FITS[name](labels, scores), before, after)
    return best


def _candidates(labels: Labels, wanted: str) -> tuple[str, ...]:
    if wanted == "none" or int(labels.sum()) < FOLDS:
        return ()
    if wanted != "auto":
        return (wanted,)
    return ("isotonic", "platt") if int(labels.sum()) >= MIN_FRAUDS else ("platt",)


def _held_out_error(fit: Fit, labels: Labels, scores: Scores, seed: int) -> float:
    calibrated = np.empty(len(scores))
    for fold in _folds(labels, seed):
        rest = np.setdiff1d(np.arange(len(labels)), fold, assume_unique=True)
        calibrated[fold] = fit(labels[rest], scores[rest]).apply(scores[fold])
    return expected_calibration_error(labels, calibrated)


def _folds(labels: Labels, seed: int) -> list[npt.NDArray[np.intp]]:
    """Row numbers in FOLDS parts, each with its share of fraud."""
    rng = np.random.default_rng(seed)
    parts: list[list[npt.NDArray[np.intp]]] = [[] for _ in range(FOLDS)]
    for kind in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == kind))
        for part, chosen in zip(parts, np.array_split(rows, FOLDS), strict=True):
            part.append(chosen)
    return [np.concatenate(part) for part in parts]


def isotonic(labels: Labels, scores: Scores) -> Calibration:
    """Pool-adjacent-violators (Zadrozny and Elkan 2002), with a trace of the raw score in it: its
    flat steps would make equals of scores that the model tells apart."""
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    x, y = model.X_thresholds_, model.y_thresholds_
    x, places = np.unique(np.concatenate([[0.0], x, [1.0]]), return_index=True)
    y = np.concatenate([[y[0]], y, [y[-1]]])[places]
    return Calibration("isotonic", *_rising(x, (1 - ORDER_KEEPER) * y + ORDER_KEEPER * x))


def platt(labels: Labels, scores: Scores) -> Calibration:
    """A logistic curve over the log-odds (Platt 1999, with his smoothed targets), as a line of
    GRID points."""
    frauds = int(labels.sum())
    genuine = len(labels) - frauds
    targets = np.where(labels == 1, (frauds + 1) / (frauds + 2), 1 / (genuine + 2))
    odds = _odds(scores)

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        z = weights[0] * odds + weights[1]
        error = _sigmoid(z) - targets
        value = float(np.sum(np.logaddexp(0, z) - targets * z))
        return value / len(z), np.array([np.sum(error * odds), np.sum(error)]) / len(z)

    slope, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    middle = _sigmoid(np.linspace(-16, 16, GRID - 2))
    x = np.unique(np.concatenate([[0.0], middle, [1.0]]))
    y = _sigmoid(max(float(slope), 0.0) * _odds(x) + shift)
    return Calibration("platt", *_rising(x, y))


FITS: dict[str, Fit] = {"isotonic": isotonic, "platt": platt}


def _rising(x: Scores, y: Scores) -> tuple[tuple[float, ...], tuple[float, ...]]:
    rising = np.maximum.accumulate(np.clip(y, 0, 1))
    return tuple(map(float, x)), tuple(map(float, rising))


def _odds(scores: Scores) -> Scores:
    inside = np.clip(scores, _EDGE, 1 - _EDGE)
    odds: Scores = np.log(inside / (1 - inside))
    return odds


def _sigmoid(z: Scores) -> Scores:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)), dtype=np.float64)
