"""Distances between binned distributions.

Definitions: PSI is the sum of (q - p) ln(q / p); JS is the Jensen-Shannon
*distance* with base-2 logarithms, in [0, 1]; KS here is the largest gap of the
two cumulative shares over the bins' edges, a lower bound of the statistic on
raw values. Counts are smoothed as (c + 0.5) / (n + 0.5 B), so that an empty bin
has a finite distance.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

# Tail of the null distribution below which a distance may come from the sample size alone.
PSI_NULL_QUANTILE = 0.999
KS_NULL_FACTOR = 1.949  # sqrt(-ln(0.001 / 2) / 2): 99.9 %
CATEGORY_THRESHOLD = 0.1


class State(StrEnum):
    OK = "ok"
    DRIFT = "drift"
    INSUFFICIENT = "insufficient_data"
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True)
class Drift:
    """How far one column moved: the method, its value, the bar it had to pass, the state."""

    method: str
    value: float | None
    threshold: float
    state: State


def shares(counts: Counts) -> Shares:
    """Smoothed shares, shape (B,), that sum to 1."""
    smoothed = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return np.asarray(smoothed, dtype=np.float64)


def psi(p: Shares, q: Shares) -> float:
    """Population stability index of two share vectors without zeros; 0 when equal."""
    return float(np.sum((q - p) * np.log(q / p)))


def js(p: Shares, q: Shares) -> float:
    """Jensen-Shannon distance, base 2, in [0, 1]."""
    from scipy.spatial.distance import jensenshannon  # noqa: PLC0415 - see `psi_null`

    return float(jensenshannon(p, q, base=2))


def ks(p: Shares, q: Shares) -> float:
    """Largest gap of the cumulative shares, in [0, 1]; the bins must be ordered."""
    return float(np.max(np.abs(np.cumsum(p) - np.cumsum(q))))


def psi_null(bins: int, n: int, m: int) -> float:
    """The 99.9 % quantile of the PSI of two samples (n and m rows) of one distribution."""
    # Loading scipy takes a second of each process's start, and few ever judge drift.
    from scipy.special import gammaincinv  # noqa: PLC0415

    chi2_quantile = 2 * gammaincinv((bins - 1) / 2, PSI_NULL_QUANTILE)
    return float((1 / n + 1 / m) * chi2_quantile)


def ks_null(n: int, m: int) -> float:
    """The 99.9 % quantile of the KS statistic of two samples of one distribution."""
    return KS_NULL_FACTOR * math.sqrt((n + m) / (n * m))


def compare(
    reference: Counts, current: Counts, *, method: str, threshold: float, ordered: bool, least: int
) -> Drift:
    """Judge one column by its counts over the same bins.

    `ordered` is False for categories, where KS has no meaning and the JS
    distance stands in. Drift needs a value over `threshold` *and* over what the
    sample sizes alone explain. Under `least` current rows: insufficient data.
    """
    if method == "ks" and not ordered:
        method, threshold = "js", CATEGORY_THRESHOLD
    n, m = int(reference.sum()), int(current.sum())
    if m < least or not n:
        return Drift(method, None, threshold, State.INSUFFICIENT)
    p, q = shares(reference), shares(current)
    if method == "ks":
        value, bar = ks(p, q), max(threshold, ks_null(n, m))
    elif method == "psi":
        value, bar = psi(p, q), max(threshold, psi_null(len(p), n, m))
    else:
        # PSI's null bounds JS's: for near distributions JS^2 is about PSI / (8 ln 2)
        bar = max(threshold, math.sqrt(psi_null(len(p), n, m) / (8 * math.log(2))))
        value = js(p, q)
    state = State.DRIFT if value > bar else State.OK
    return Drift(method, round(value, 6), round(bar, 6), state)
