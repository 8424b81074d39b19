"""The signature that a training set asks for."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from models_app.ml.signature import Feature, Signature
from training.ml.columns import Columns

MAX_LEVELS = 30


def fit_signature(columns: Columns, rows: npt.NDArray[np.intp]) -> Signature:
    """One `Feature` a column, in the file's order; category levels are those of `rows`,
    the most frequent first, at most `MAX_LEVELS` of them."""
    return Signature([_fit(name, columns, rows) for name in columns.features])


def _fit(name: str, columns: Columns, rows: npt.NDArray[np.intp]) -> Feature:
    kind = columns.kinds[name]
    if kind != "category":
        return Feature(name=name, kind=kind)
    counts = Counter(value for value in columns.features[name][rows] if value is not None)
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    return Feature(
        name=name, kind="category", levels=tuple(levels[:MAX_LEVELS]), open=len(levels) > MAX_LEVELS
    )
