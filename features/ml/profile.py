"""How a feature's values of one day are distributed.

Days can be compared and added because numbers are counted between fixed edges, which are taken
once from a reference sample.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_EDGES = 20
MAX_LEVELS = 30
QUANTILES = (1, 5, 25, 50, 75, 95, 99)  # in percent


@dataclass(frozen=True)
class Histogram:
    """Numbers between `edges`: bin i is [edges[i - 1], edges[i]), the first and the last are
    open, so there is one bin more than edges. Nulls are in none."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Levels:
    """The most frequent texts with their counts, the most frequent first, and all others."""

    counts: Mapping[str, int]
    other: int


@dataclass(frozen=True)
class Profile:
    """`quantiles` maps p1, p5, ... p99 to values that occur; it is empty for texts and without
    values."""

    rows: int
    nulls: int
    histogram: Histogram | Levels
    quantiles: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def edges_of(sample: npt.ArrayLike) -> tuple[float, ...]:
    """At most `MAX_EDGES` strictly increasing edges that cut a sample of numbers (NaN is null)
    into parts of about equal size.

    A value that many rows share gets a bin of its own, and so do few different values. Edges lie
    between values of the sample: rounding moves no value into another bin.
    """
    present = _present(_numbers(sample))
    distinct = np.unique(present)
    if len(distinct) <= MAX_EDGES + 1:
        below = np.arange(len(distinct) - 1)
    else:
        shares = np.arange(1, MAX_EDGES + 1) / (MAX_EDGES + 1)
        cuts, repeats = np.unique(_quantiles(present, shares), return_counts=True)
        above_atoms = np.searchsorted(distinct, cuts)
        below_atoms = np.searchsorted(distinct, cuts[repeats > 1]) - 1
        below = np.union1d(above_atoms, below_atoms)
        below = below[(below >= 0) & (below < len(distinct) - 1)]
    low, high = distinct[below], distinct[below + 1]
    middle = low / 2 + high / 2
    return tuple(np.where(middle > low, middle, high).tolist())


def of_numbers(values: npt.ArrayLike, edges: Sequence[float]) -> Profile:
    """The profile of numbers or booleans; NaN, None and what is not finite is null."""
    numbers = _numbers(values)
    present = _present(numbers)
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), present, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    quantiles: dict[str, float] = {}
    if len(present):
        found = _quantiles(present, np.array(QUANTILES) / 100)
        quantiles = {f"p{q}": float(x) for q, x in zip(QUANTILES, found, strict=True)}
    return Profile(
        rows=len(numbers),
        nulls=len(numbers) - len(present),
        histogram=Histogram(tuple(map(float, edges)), tuple(counts.tolist())),
        quantiles=quantiles,
    )


def of_texts(values: npt.NDArray[Any] | Sequence[str | None]) -> Profile:
    """The profile of texts; None is null. Texts that are equally frequent stand in their order."""
    counts = Counter(values.tolist() if isinstance(values, np.ndarray) else values)
    nulls = counts.pop(None, 0)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    kept = {str(level): count for level, count in ranked[:MAX_LEVELS]}
    other = sum(count for _, count in ranked[MAX_LEVELS:])
    return Profile(len(values), nulls, Levels(kept, other), {})


def _numbers(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _present(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return numbers[np.isfinite(numbers)]


def _quantiles(
    present: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Values of the sample itself: between two far ones there may be no number."""
    return np.asarray(np.quantile(present, shares, method="inverted_cdf"))
