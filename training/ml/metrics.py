"""How good a model is on rows that it never saw."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

DAY = 86_400.0
TOP = (50, 100, 500)
ECE_BINS = 10
MAX_SEGMENTS = 20
_TWO = 2  # classes


@dataclass(frozen=True)
class Beside:
    """What is known of the rows besides label and score; each of shape (n,), or None.

    `seconds` are event times since 1970, `entities` whose rows they are (codes), `amounts` the
    money at stake, `typologies` the kind of fraud, `segments` columns to look at one by one.
    """

    seconds: npt.NDArray[np.float64] | None = None
    entities: npt.NDArray[np.int64] | None = None
    amounts: npt.NDArray[np.float64] | None = None
    typologies: npt.NDArray[Any] | None = None
    segments: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def evaluate(labels: Labels, scores: Scores, *, threshold: float) -> dict[str, Any]:
    """AUROC, average precision (the step sum, not a trapezoid), Brier score, ECE, and at
    `threshold` precision, recall, F1 and the confusion matrix; all on (n,) held-out rows.

    Precision is None when nothing is flagged.
    """
    flagged = scores >= threshold
    tp = int(np.sum(flagged & (labels == 1)))
    fp = int(np.sum(flagged & (labels == 0)))
    fn = int(np.sum(~flagged & (labels == 1)))
    tn = int(np.sum(~flagged & (labels == 0)))
    return {
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "threshold": threshold,
        "confusion_matrix": {"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        "rows": len(labels),
        "frauds": int(labels.sum()),
        "prevalence": float(labels.mean()),
        "brier": float(np.mean((scores - labels) ** 2)),
        "ece": expected_calibration_error(labels, scores),
    }


def expected_calibration_error(labels: Labels, scores: Scores, bins: int = ECE_BINS) -> float:
    """The mean distance, weighted by rows, of score and fraud share in `bins` groups of as many
    rows each (Nixon et al. 2019, "adaptive"): with 0.5 % fraud, bins of equal width would put
    nearly every row into the first one."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    distances = [abs(scores[p].mean() - labels[p].mean()) * len(p) for p in parts]
    return float(np.sum(distances) / len(labels))


def evaluate_more(
    labels: Labels, scores: Scores, beside: Beside, *, threshold: float, alerts_per_day: int
) -> dict[str, Any]:
    """What an operations team asks besides: the precision of the highest scores, the share of
    fraud and of its money that is caught, by segment and typology."""
    return {
        "precision_at": precision_at(labels, scores),
        "recall_at_alerts_per_day": _capacity(labels, scores, beside.seconds, alerts_per_day),
        "card_precision_at_100": card_precision(labels, scores, beside),
        "value_weighted_recall": _value_recall(labels, scores, beside.amounts, threshold),
        "segments": [
            row
            for name, values in beside.segments.items()
            for row in _segments(name, values, labels, scores, threshold)
        ],
        "typologies": _typologies(beside.typologies, labels, scores, threshold),
    }


def precision_at(labels: Labels, scores: Scores) -> dict[str, float]:
    """The share of fraud among the k highest scores, for each k of TOP that there are rows for."""
    best = labels[np.argsort(-scores, kind="stable")[: max(TOP)]]
    return {str(k): float(best[:k].mean()) for k in TOP if k <= len(labels)}


def card_precision(labels: Labels, scores: Scores, beside: Beside, k: int = 100) -> float | None:
    """CP@k of the Fraud Detection Handbook (chapter 4): each day, the cards are ranked by their
    highest score; the share of compromised ones among the first k; cards that were caught leave
    the later days; the mean over the days. None without times and cards."""
    if beside.seconds is None or beside.entities is None:
        return None
    days = (beside.seconds // DAY).astype(np.int64)
    caught = np.empty(0, np.int64)
    precisions = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~np.isin(beside.entities, caught))
        cards, places = np.unique(beside.entities[rows], return_inverse=True)
        top, bad = np.zeros(len(cards)), np.zeros(len(cards), np.int8)
        np.maximum.at(top, places, scores[rows])
        np.maximum.at(bad, places, labels[rows])
        chosen = np.argsort(-top, kind="stable")[:k]
        precisions.append(float(bad[chosen].sum()) / k)
        caught = np.concatenate([caught, cards[chosen][bad[chosen] == 1]])
    return float(np.mean(precisions))


def _capacity(
    labels: Labels, scores: Scores, seconds: npt.NDArray[np.float64] | None, alerts: int
) -> dict[str, float] | None:
    """The share of fraud among each day's `alerts` highest scores."""
    if seconds is None:
        return None
    days = (seconds // DAY).astype(np.int64)
    order = np.lexsort((-scores, days))
    starts = np.flatnonzero(np.diff(days[order], prepend=days[order][0] - 1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    found = int(labels[order[rank < alerts]].sum())
    return {"alerts_per_day": alerts, "recall": found / int(labels.sum())}


def _value_recall(
    labels: Labels, scores: Scores, amounts: npt.NDArray[np.float64] | None, threshold: float
) -> float | None:
    """Money of the fraud that is flagged by money of all fraud."""
    if amounts is None:
        return None
    money = np.where(labels == 1, np.nan_to_num(amounts), 0.0)
    return float(money[scores >= threshold].sum() / money.sum()) if money.sum() > 0 else None


def _segments(
    name: str, values: npt.NDArray[Any], labels: Labels, scores: Scores, threshold: float
) -> list[dict[str, Any]]:
    texts = np.array(["" if v is None else str(v) for v in values])
    found, counts = np.unique(texts, return_counts=True)
    largest = found[np.argsort(-counts, kind="stable")[:MAX_SEGMENTS]]
    return [_segment(name, value, labels, scores, texts == value, threshold) for value in largest]


def _segment(  # noqa: PLR0913 - a segment's name and its rows
    name: str,
    value: str,
    labels: Labels,
    scores: Scores,
    inside: npt.NDArray[np.bool_],
    threshold: float,
) -> dict[str, Any]:
    mine, theirs = labels[inside], scores[inside]
    frauds = int(mine.sum())
    both = 0 < frauds < len(mine)
    return {
        "column": name,
        "value": str(value),
        "rows": len(mine),
        "frauds": frauds,
        "auroc": float(roc_auc_score(mine, theirs)) if both else None,
        "average_precision": float(average_precision_score(mine, theirs)) if both else None,
        "recall": float(np.mean(theirs[mine == 1] >= threshold)) if frauds else None,
    }


def _typologies(
    values: npt.NDArray[Any] | None, labels: Labels, scores: Scores, threshold: float
) -> list[dict[str, Any]]:
    if values is None:
        return []
    texts = np.array(["" if v is None else str(v) for v in values])
    rows = []
    for value in np.unique(texts[labels == 1])[:MAX_SEGMENTS]:
        inside = (texts == value) & (labels == 1)
        caught = float(np.mean(scores[inside] >= threshold))
        rows.append({"value": str(value), "frauds": int(inside.sum()), "recall": caught})
    return rows
