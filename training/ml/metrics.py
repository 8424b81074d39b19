"""How good a model is on rows that it never saw."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from models_app.ml.policy import Policy

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

BLOCK_PRECISION = 0.95
MIN_BLOCKED = 20


def choose_policy(labels: Labels, scores: Scores) -> Policy:
    """The review threshold of the best F1 on validation rows, and the lowest block threshold
    at or above it whose precision is at least 0.95 over at least 20 rows (else none)."""
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1))
    flagged = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
    good = np.flatnonzero((precision >= BLOCK_PRECISION) & (flagged >= MIN_BLOCKED))
    good = good[good >= best]
    return Policy(
        review=float(thresholds[best]),
        block=float(thresholds[good[0]]) if len(good) else None,
        rule=f"review: best F1; block: precision >= {BLOCK_PRECISION:g} (both on validation rows)",
    )


def evaluate(labels: Labels, scores: Scores, *, threshold: float) -> dict[str, Any]:
    """AUROC, average precision (the step sum, not a trapezoid), and at `threshold`
    precision, recall, F1 and the confusion matrix; all on (n,) held-out rows.

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
    }
