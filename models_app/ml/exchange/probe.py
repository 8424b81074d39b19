"""Rows that a model from outside must score sensibly before anybody relies on it."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.graphs import CLASSES, INPUT, OUTPUT
from models_app.ml.signature import Signature

Rows = npt.NDArray[np.float32]
PLAIN, HOLED = 192, 64
ALONE = (0, 1, PLAIN // 2, PLAIN, PLAIN + 1)  # rows that are also scored by themselves
TOLERANCE = 1e-5
# a matrix product rounds otherwise for one row than for many: this is to see more than that
ALONE_TOLERANCE = SUM_TOLERANCE = 1e-3
HOLES = 0.3
SEED = 20260101


def rows(signature: Signature, cuts: Mapping[int, Sequence[float]] | None = None) -> Rows:
    """PLAIN rows of many magnitudes, the first all zero, then HOLED ones with missing values, the
    first all missing. `cuts` are values by column that some rows hit exactly."""
    rng = np.random.default_rng(SEED)
    count = PLAIN + HOLED
    scale = 10.0 ** rng.uniform(-3, 4, (count, signature.width))
    matrix = (rng.standard_normal((count, signature.width)) * scale).astype(np.float32)
    for column, values in (cuts or {}).items():
        if column < signature.width and len(values):
            hit = rng.random(count) < 0.5  # noqa: PLR2004
            matrix[hit, column] = rng.choice(np.asarray(values, np.float32), int(hit.sum()))
    holes = rng.random(matrix.shape) < HOLES
    holes[:PLAIN] = False
    holes[PLAIN] = True
    matrix[0] = 0
    start = 0
    for feature in signature.features:
        stop = start + feature.width
        if feature.kind == "boolean":
            matrix[:, start] = rng.integers(0, 2, count)
        if feature.kind == "category":
            matrix[:, start:stop] = _levels(rng, count, feature.width)
            holes[:, start:stop] = False
        start = stop
    matrix[holes] = np.nan
    return matrix


def _levels(rng: np.random.Generator, count: int, width: int) -> Rows:
    """One level a row, or none: a missing category is all zeros."""
    chosen = rng.integers(-1, width, count)
    found = np.zeros((count, width), np.float32)
    known = np.flatnonzero(chosen >= 0)
    found[known, chosen[known]] = 1
    return found


def session(onnx: bytes) -> ort.InferenceSession:
    """Raises `Refused` when the runtime can't load the model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own unrelated types
        raise Refused(f"the ONNX runtime can't load it: {_first_line(error)}") from error


def run(
    loaded: ort.InferenceSession, source: str, output: str, matrix: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """The raw output for a matrix; raises `Refused` when the model can't compute it."""
    try:
        return np.asarray(loaded.run([output], {source: matrix})[0])
    except Exception as error:  # as above
        raise Refused(
            f"can't score {matrix.shape[0]} rows of {matrix.shape[1]} columns: {_first_line(error)}"
        ) from error


def check(onnx: bytes, matrix: Rows) -> npt.NDArray[np.float64]:
    """Probabilities of fraud, shape (n,), of a model in our layout.

    Raises `Refused` unless it gives finite probabilities of both classes that sum to 1, the same
    ones each time, and for a row the same alone as among others.
    """
    loaded = session(onnx)
    scores = run(loaded, INPUT, OUTPUT, matrix)
    if scores.shape != (len(matrix), CLASSES):
        raise Refused(f"gives scores of shape {scores.shape} for {len(matrix)} rows")
    if not np.isfinite(scores[:PLAIN]).all():
        raise Refused("gives scores that are no finite numbers")
    if not np.isfinite(scores).all():
        raise Refused(
            "gives no finite score where a value is missing; say by which number a missing one"
            " is to be replaced",
            field="fill",
        )
    if scores.min() < -TOLERANCE or scores.max() > 1 + TOLERANCE:
        raise Refused("gives scores outside [0, 1]; export the model with its probabilities")
    if np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise Refused("gives probabilities of the two classes that don't sum to 1")
    if not np.array_equal(scores, run(loaded, INPUT, OUTPUT, matrix)):
        raise Refused("gives other scores when it is asked again")
    for i in ALONE:
        alone = run(loaded, INPUT, OUTPUT, matrix[i : i + 1])
        if alone.shape != (1, CLASSES) or np.abs(alone[0] - scores[i]).max() > ALONE_TOLERANCE:
            raise Refused("scores a row alone otherwise than among others")
    return scores[:, 1].astype(np.float64)


def parity(onnx: npt.NDArray[np.float64], native: npt.NDArray[np.float64]) -> float:
    """The largest difference between two lists of scores; raises `Refused` over 1e-5."""
    worst = float(np.max(np.abs(onnx - native)))
    if not worst <= TOLERANCE:
        raise Refused(f"its ONNX and native scores differ by up to {worst:.2g}")
    return worst


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
