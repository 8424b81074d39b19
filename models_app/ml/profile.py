"""The reference profile: how each input and the score looked when the model was trained.

Fixed-edge counts by the binning contract: deciles of the reference with open
ends, a bin for NULL, and for categories one bin a level plus OTHER. Counts of
different windows over the same edges can be added.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_app.ml.signature import Feature, Signature

NULL = "<null>"
OTHER = "<other>"
MIN_EDGES = 3


@dataclass(frozen=True)
class Bins:
    """Counts of one column. Numbers: `edges` are the inner cuts (k of them, k + 1 bins,
    each bin is [low, high)); categories: `levels` name the bins. The last bin is NULL."""

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Bins":
        return cls(*(tuple(data[key]) for key in ("counts", "edges", "levels")))


def bin_numbers(values: npt.NDArray[np.floating[Any]], edges: tuple[float, ...]) -> Bins:
    """Count `values` (NaN is NULL) between fixed `edges`."""
    present = values[~np.isnan(values)]
    places = np.searchsorted(np.asarray(edges), present, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1).tolist()
    return Bins(counts=(*counts, int(len(values) - len(present))), edges=edges)


def bin_levels(values: npt.NDArray[Any], levels: tuple[str, ...]) -> Bins:
    """Count text `values` (None is NULL) by level; what isn't in `levels` is OTHER."""
    positions = {level: i for i, level in enumerate(levels)}
    counts = [0] * (len(levels) + 2)
    for value in values:
        counts[-1 if value is None else positions.get(value, len(levels))] += 1
    return Bins(counts=tuple(counts), levels=(*levels, OTHER, NULL))


def decile_edges(values: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """Inner decile cuts of the reference, unique; fewer where values repeat."""
    present = values[~np.isnan(values)]
    if not len(present):
        return ()
    cuts = np.unique(np.quantile(present, np.arange(0.1, 1.0, 0.1)))
    if len(cuts) < MIN_EDGES:
        distinct = np.unique(present)[:11]
        cuts = (distinct[1:] + distinct[:-1]) / 2 if len(distinct) > 1 else cuts
    return tuple(float(cut) for cut in cuts)


def bin_feature(feature: Feature, values: npt.NDArray[Any], edges: tuple[float, ...]) -> Bins:
    """One column of raw values in the profile's bins."""
    if feature.kind == "category":
        return bin_levels(values, feature.levels)
    return bin_numbers(values.astype(np.float64), edges)


def make(
    signature: Signature,
    columns: Mapping[str, npt.NDArray[Any]],
    scores: npt.NDArray[np.floating[Any]],
) -> dict[str, Any]:
    """The profile of a reference set as JSON: rows, bins per feature, bins of the score.

    Sequences have no bins: their steps are rows of the aggregations beside them.
    """
    features = {}
    for feature in signature.features:
        if feature.kind == "sequence":
            continue
        values = columns[feature.name]
        edges = () if feature.kind == "category" else decile_edges(values.astype(np.float64))
        features[feature.name] = asdict(bin_feature(feature, values, edges))
    numbers = scores.astype(np.float64)
    return {
        "rows": len(scores),
        "features": features,
        "score": asdict(bin_numbers(numbers, decile_edges(numbers))),
    }
