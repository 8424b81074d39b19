"""The curves of a version, as few points as a picture needs."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

from training.ml.metrics import ECE_BINS, Labels, Scores

MAX_POINTS = 200
Points = list[list[float]]


def of(labels: Labels, scores: Scores) -> dict[str, Points]:
    """ROC as (false-positive rate, recall), precision-recall as (recall, precision), gain as
    (share of rows looked at, share of fraud found), calibration as (mean score, fraud share,
    rows), each at most MAX_POINTS points in the order of drawing."""
    false_rate, recall, _ = roc_curve(labels, scores)
    precision, found, _ = precision_recall_curve(labels, scores)
    order = np.argsort(-scores, kind="stable")
    looked = np.arange(1, len(labels) + 1) / len(labels)
    gained = np.cumsum(labels[order]) / labels.sum()
    return {
        "roc": _points(false_rate, recall),
        "pr": _points(found[::-1], precision[::-1]),
        "gain": _points(np.append(0.0, looked), np.append(0.0, gained)),
        "calibration": _calibration(labels, scores),
    }


def _calibration(labels: Labels, scores: Scores) -> Points:
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, ECE_BINS) if len(part)]
    return [
        [_short(scores[part].mean()), _short(labels[part].mean()), float(len(part))]
        for part in parts
    ]


def _points(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Points:
    """Evenly along the curve's own length, so that its steep part keeps its shape."""
    if len(x) > MAX_POINTS:
        along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        wanted = np.linspace(0, along[-1], MAX_POINTS)
        places = np.unique(np.searchsorted(along, wanted).clip(0, len(x) - 1))
        x, y = x[places], y[places]
    return [[_short(a), _short(b)] for a, b in zip(x, y, strict=True)]


def _short(value: float) -> float:
    return round(float(value), 5)
