"""The gate between training and serving: both files must give the same scores."""

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from training.ml.errors import TrainingError
from training.ml.part import Part

TOLERANCE = 1e-5
SAMPLE = 5000


def check(onnx: bytes, matrix: npt.NDArray[np.float32], expected: npt.NDArray[np.float64]) -> float:
    """The largest difference between the ONNX scores of `matrix` and `expected`.

    Raises `TrainingError` over 1e-5, so that a model that serves other scores
    than it was judged by is never registered.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    scores = session.run(["probabilities"], {"input": matrix})[0][:, 1]
    worst = float(np.max(np.abs(scores - expected)))
    if not worst <= TOLERANCE:
        raise TrainingError(
            "export", f"ONNX scores differ from the model's own by up to {worst:.2g}"
        )
    return worst


def sample(part: Part, seed: int) -> npt.NDArray[np.float32]:
    """Rows for the gate: up to 5,000 of `part`, then the first 100 with holes in them."""
    chosen = part.take(np.arange(min(SAMPLE, len(part))))
    holes = chosen[:100].copy()
    holes[np.random.default_rng(seed).random(holes.shape) < 0.3] = np.nan  # noqa: PLR2004
    return np.vstack([chosen, holes])
