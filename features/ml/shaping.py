"""From computed columns to finished features: defaults, transforms, Arrow columns.

The meaning is that of `recent.finish`, for whole columns.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from features.ml.definition import Default, Transform, View
from features.ml.windows import Column, Lists, is_something

Columns = dict[str, Any]  # a Column, or Lists for a sequence


def finish(
    view: View, computed: Mapping[str, Any], fields: Mapping[str, Column], rows: int
) -> Columns:
    """All features of the view, from its aggregations and sequences and the asks' own fields."""
    known = dict(fields)
    done: Columns = {}
    for feature in view.features:
        if isinstance(feature, Transform):
            value: Any = feature.expression.column(known, rows)
        else:
            value = computed[feature.name]
        if feature.kind != "sequence":
            value = _with_default(value, feature.default)
            known[feature.name] = value
        done[feature.name] = value
    return done


def _with_default(values: Column, default: Default) -> Column:
    if default is None:
        return values
    return np.where(
        is_something(values), values, default if isinstance(default, str) else float(default)
    )


def as_arrow(view: View, name: str, values: Any) -> pa.Array:
    """A feature's column as Arrow has it: double, bool, string or a list of lists of doubles."""
    kind = next(feature.kind for feature in view.features if feature.name == name)
    if kind == "sequence":
        return _lists(values)
    if kind == "category":
        return pa.array(values, pa.string())
    missing = np.isnan(values)
    if kind == "boolean":
        return pa.array(values == 1, pa.bool_(), mask=missing)
    return pa.array(values, pa.float64(), mask=missing)


def _lists(values: Any) -> pa.Array:
    if isinstance(values, Lists):
        parts = np.split(values.steps, values.offsets[1:-1]) if len(values.offsets) > 1 else []
    else:
        parts = values
    rows = [
        [] if part is None else [[None if np.isnan(x) else float(x) for x in step] for step in part]
        for part in parts
    ]
    return pa.array(rows, pa.list_(pa.list_(pa.float64())))
