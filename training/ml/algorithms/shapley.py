"""Which columns made a score: Shapley values by permutation, for any model.

A row's columns are put one by one into the reference row, in some order, and each change of the
log-odds belongs to the column that was put in; averaged over orders, each with its reverse
(Strumbelj and Kononenko 2014; antithetic sampling of Mitchell et al. 2022).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.ml.part import Matrix

# Scores are kept this far from 0 and 1: a forest says 0 often, and its log-odds are infinite.
NEAREST = 1e-4
PAIRS = 8
_BATCH_ROWS = 65_536

Numbers = npt.NDArray[np.float64]


def log_odds(scores: npt.NDArray[np.floating]) -> Numbers:
    """The log-odds of scores, of which none counts as nearer than 1e-4 to 0 or 1."""
    kept = np.clip(scores.astype(np.float64), NEAREST, 1 - NEAREST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def explain(
    predict: Callable[[Matrix], Numbers], matrix: Matrix, reference: Matrix, seed: int
) -> Numbers:
    """What each column adds to each row's log-odds over those of `reference`, shape (1, width).

    Contributions of a row sum to the difference of its log-odds and the reference's. A column
    that is like the reference's adds 0. A row's values don't depend on the other rows.
    """
    keys = np.random.default_rng(seed).random((PAIRS, matrix.shape[1]))
    found = np.zeros(matrix.shape)
    waiting: list[tuple[int, npt.NDArray[np.intp], Matrix]] = []
    size = 0
    for i, row in enumerate(matrix):
        different = np.flatnonzero(~_same(row, reference[0]))
        orders = different[np.argsort(keys[:, different], axis=1)]
        orders = np.vstack([orders, orders[:, ::-1]])
        steps = _steps(row, reference[0], orders)
        waiting.append((i, orders, steps))
        size += len(steps)
        if size >= _BATCH_ROWS:
            _credit(predict, waiting, found)
            waiting, size = [], 0
    if waiting:
        _credit(predict, waiting, found)
    return found


def _same(row: Matrix, other: Matrix) -> npt.NDArray[np.bool_]:
    return np.asarray((row == other) | (np.isnan(row) & np.isnan(other)))


def _steps(row: Matrix, reference: Matrix, orders: npt.NDArray[np.intp]) -> Matrix:
    """The rows between `reference` and `row`, (orders * (columns + 1), width)."""
    count, columns = orders.shape
    rank = np.zeros((count, len(row)), dtype=np.intp)
    np.put_along_axis(rank, orders, np.arange(columns)[None, :], axis=1)
    taken = rank[:, None, :] < np.arange(columns + 1)[None, :, None]
    return np.where(taken, row, reference).reshape(-1, len(row))


def _credit(
    predict: Callable[[Matrix], Numbers],
    waiting: list[tuple[int, npt.NDArray[np.intp], Matrix]],
    found: Numbers,
) -> None:
    """Score all steps at once and give each change to its column."""
    odds = log_odds(predict(np.vstack([steps for _, _, steps in waiting])))
    start = 0
    for i, orders, steps in waiting:
        of_row = odds[start : start + len(steps)].reshape(len(orders), -1)
        np.add.at(found[i], orders, np.diff(of_row, axis=1) / len(orders))
        start += len(steps)
