"""The signature that a training set asks for."""

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from models_app.ml.signature import Feature, Signature
from training.ml.columns import Columns
from training.ml.part import Part

MAX_LEVELS = 30


def fit_signature(columns: Columns, rows: npt.NDArray[np.intp]) -> Signature:
    """One `Feature` a column, in the file's order; category levels are those of `rows`,
    the most frequent first, at most `MAX_LEVELS` of them."""
    return Signature([_fit(name, columns, rows) for name in columns.kinds])


def part(columns: Columns, signature: Signature, rows: npt.NDArray[np.intp]) -> Part:
    """`rows` of the columns as the signature's matrix, with their labels."""
    labels = None if columns.labels is None else columns.labels[rows]
    return Part(
        rows, signature.width, lambda some: signature.encode_columns(columns.take(some)), labels
    )


def _fit(name: str, columns: Columns, rows: npt.NDArray[np.intp]) -> Feature:
    kind = columns.kinds[name]
    if kind == "sequence":
        steps, size = columns.sequences[name]
        return Feature(name=name, kind=kind, steps=steps, size=size)
    if kind != "category":
        return Feature(name=name, kind=kind)
    counts = {
        row["values"]: row["counts"]
        for row in pc.value_counts(columns.texts(name, rows)).to_pylist()
        if row["values"]
    }
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    return Feature(
        name=name, kind="category", levels=tuple(levels[:MAX_LEVELS]), open=len(levels) > MAX_LEVELS
    )
