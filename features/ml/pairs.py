"""Pairs of an ask and an event in its slice, and what a function makes of each ask's events."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Column = npt.NDArray[Any]

MAX_PAIRS = 2_000_000


def running_max(key: Ints, values: Ints) -> Ints:
    """The largest value of the key so far, at each position."""
    low = int(values.min())
    span = int(values.max()) - low + 1
    found: Ints = np.maximum.accumulate(key * span + (values - low)) - key * span + low
    return found


def expanded(
    items: npt.NDArray[np.intp], start: Ints, end: Ints
) -> Iterator[tuple[npt.NDArray[np.intp], Ints, Ints]]:
    """Blocks of (items, positions of their slices start:end, index of the item in the block)."""
    lengths = np.maximum(end - start, 0)
    totals = np.cumsum(lengths)
    at = 0
    while at < len(items):
        done = totals[at - 1] if at else 0
        to = max(at + 1, int(np.searchsorted(totals, done + MAX_PAIRS, "right")))
        size = lengths[at:to]
        segment = np.repeat(np.arange(to - at), size)
        offset = np.arange(len(segment)) - np.repeat(np.cumsum(size) - size, size)
        yield items[at:to], np.repeat(start[at:to], size) + offset, segment
        at = to


def reduce(function: str, segment: Ints, values: Column) -> tuple[Ints, Column]:
    """`function` over each run of equal `segment`s: (segments, results)."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(segment)) + 1])
    rows = segment[first]
    count = np.diff(np.append(first, len(segment)))
    if function in ("count", "label_rate"):
        return rows, count.astype(np.float64)
    if function == "last":
        return rows, values[first + count - 1]
    if function == "distinct":
        return rows, _distinct(segment, values, rows)
    if function in ("min", "max"):
        extreme = np.minimum if function == "min" else np.maximum
        return rows, extreme.reduceat(values, first)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(values, first)
        found = sums if function == "sum" else sums / count
        if function == "std":
            away = values - np.repeat(found, count)
            found = np.sqrt(np.add.reduceat(away * away, first) / count)
    return rows, np.where(np.isfinite(found), found, np.nan)


def _distinct(segment: Ints, values: Column, rows: Ints) -> Floats:
    _, code = np.unique(values.astype(str) if values.dtype == object else values,
                        return_inverse=True)  # fmt: skip
    pairs = np.unique(segment * (int(code.max()) + 1) + code)
    counts = np.bincount(pairs // (int(code.max()) + 1), minlength=int(segment.max()) + 1)
    return counts[rows].astype(np.float64)
