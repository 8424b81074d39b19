"""How good a trained version is on rows of a file that it never saw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pyarrow as pa

from models_app.ml.calibration import Calibration
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature
from training.ml import columns, intervals, metrics
from training.ml.algorithms.contract import INPUT, OUTPUT
from training.ml.errors import TrainingError
from training.ml.metrics import Beside
from training.ml.part import Part


@dataclass(frozen=True)
class Served:
    """What a version decides with: the files of its bundle."""

    onnx: bytes
    signature: Signature
    calibration: Calibration
    policy: Policy


def evaluate(
    served: Served, table: pa.Table, *, label: str | None, time: str | None, alerts_per_day: int
) -> dict[str, Any]:
    """The metrics of all labelled rows of `table`, at the version's own review threshold, scored
    as it serves: by ONNX, calibrated.

    Raises `TrainingError` naming a column that the version takes and the table hasn't got, a
    label that isn't there or has one class only.
    """
    data = columns.assign(_in_kinds(served.signature, table), _choices(served, table, label, time))
    encoded = Part(
        np.arange(len(data)),
        served.signature.width,
        lambda rows: served.signature.encode_columns(_values(served.signature, data, rows)),
        data.labels,
    )
    labels = encoded.truth
    scores = served.calibration.apply(_raw(served.onnx, encoded))
    review = served.policy.review
    found = metrics.evaluate(labels, scores, threshold=review)
    beside = Beside(seconds=data.seconds)
    found |= metrics.evaluate_more(
        labels, scores, beside, threshold=review, alerts_per_day=alerts_per_day
    )
    sure = intervals.bootstrap(labels, scores, threshold=review)
    return found | {"intervals": {name: list(ends) for name, ends in sure.items()}}


def _choices(
    served: Served, table: pa.Table, label: str | None, time: str | None
) -> columns.Choices:
    names = [feature.name for feature in served.signature.features]
    missing = [name for name in names if name not in table.column_names]
    if missing:
        shown = ", ".join(missing[:10])
        raise TrainingError("dataset_path", f"the version takes {shown}, which the file hasn't got")
    kinds = {f.name: (f.steps, f.size) for f in served.signature.features if f.kind == "sequence"}
    return columns.Choices(
        label=label,
        time=time,
        keep=names,
        declared=frozenset(names),
        sequences=kinds,
        takes_sequences=bool(kinds),
    )


def _in_kinds(signature: Signature, table: pa.Table) -> pa.Table:
    """The table with categories as text, also where this file's are all digits."""
    for feature in signature.features:
        if feature.kind != "category" or feature.name not in table.column_names:
            continue
        place, column = table.column_names.index(feature.name), table[feature.name]
        if not _is_text(column.type) and not pa.types.is_null(column.type):
            table = table.set_column(place, feature.name, column.cast(pa.string()))
    return table


def _values(
    signature: Signature, data: columns.Columns, rows: npt.NDArray[np.intp]
) -> dict[str, columns.Column]:
    """The features of `rows`; one that has no value in this file is missing in each row."""
    found: dict[str, columns.Column] = {}
    for feature in signature.features:
        if feature.name in data.kinds:
            found[feature.name] = data.feature(feature.name, rows)
        elif feature.kind == "category":
            found[feature.name] = np.full(len(rows), None, dtype=object)
        else:
            found[feature.name] = np.full((len(rows), feature.width), np.nan)
    return found


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _raw(onnx: bytes, rows: Part) -> npt.NDArray[np.float32]:
    session = ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    parts = [session.run([OUTPUT], {INPUT: batch})[0][:, 1] for batch in rows.batches()]
    return np.concatenate(parts)
