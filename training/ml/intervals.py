"""How sure a metric is: bootstrap intervals, cheap enough to have on each training.

Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy et al. 2012): a resample gives each row a
weight of Poisson(1). The rank metrics see the genuine rows between two frauds by their number
only, and the sum of m such weights is Poisson(m): a resample is as small as the number of
distinct scores that a fraud has. Rows count as independent, which they aren't when one entity
has many; the intervals are then too narrow.
"""

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]
RESAMPLES = 400
_CELLS = 4_000_000  # of one chunk of resamples
_LEVEL = (2.5, 97.5)


def bootstrap(
    labels: npt.NDArray[np.int8],
    scores: npt.NDArray[np.float64],
    *,
    threshold: float,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % percentile intervals of AUROC, average precision, and of precision, recall and F1 at
    `threshold`. One that no resample can tell, such as the precision of nothing, is left out."""
    frauds, before = _groups(labels, scores)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // len(before))
    parts = [
        _ranks(rng, frauds, before, min(step, RESAMPLES - done))
        for done in range(0, RESAMPLES, step)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found |= _at_threshold(rng, labels, scores >= threshold)
    return {name: _interval(values) for name, values in found.items() if np.isfinite(values).any()}


def _groups(
    labels: npt.NDArray[np.int8], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """From the highest score down: frauds at each score that has one; and genuine rows, first
    those strictly above the first such score, those at it, those between it and the next, ..."""
    at, frauds = np.unique(-scores[labels == 1], return_counts=True)
    genuine = np.sort(-scores[labels == 0])
    edges = np.column_stack(
        [np.searchsorted(genuine, at, side="left"), np.searchsorted(genuine, at, side="right")]
    ).ravel()
    return frauds, np.diff(np.concatenate([[0], edges, [len(genuine)]]))


def _ranks(
    rng: np.random.Generator,
    frauds: npt.NDArray[np.int64],
    genuine: npt.NDArray[np.int64],
    resamples: int,
) -> dict[str, npt.NDArray[np.float64]]:
    hits = rng.poisson(frauds, (resamples, len(frauds))).astype(np.float64)
    misses = rng.poisson(genuine, (resamples, len(genuine))).astype(np.float64).cumsum(axis=1)
    above, up_to = misses[:, 0:-1:2], misses[:, 1:-1:2]
    found = hits.cumsum(axis=1)
    total, negatives = found[:, -1], misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(found / (found + up_to))
        below = negatives[:, None] - (above + up_to) / 2  # a tie is half a win
        return {
            "auroc": (hits * below).sum(axis=1) / (total * negatives),
            "average_precision": (hits * precision).sum(axis=1) / total,
        }


def _at_threshold(
    rng: np.random.Generator, labels: npt.NDArray[np.int8], flagged: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.float64]]:
    tp, fp, fn = (
        rng.poisson(int(cell.sum()), RESAMPLES).astype(np.float64)
        for cell in (flagged & (labels == 1), flagged & (labels == 0), ~flagged & (labels == 1))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.nanpercentile(values, _LEVEL)
    return float(low), float(high)
