"""ONNX on one thread: rows in, probabilities out."""

import numpy as np
import numpy.typing as npt
import onnxruntime as ort


class Scorer:
    """A loaded model. Safe to call from several threads."""

    def __init__(self, onnx: bytes, *, width: int) -> None:
        """Load and warm the model.

        Raises ValueError when the file isn't an ONNX model of `width` inputs.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        try:
            self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            self._session.run(["probabilities"], {"input": np.zeros((1, width), np.float32)})
        except Exception as error:  # the runtime raises its own unrelated types
            raise ValueError(f"not a usable model: {type(error).__name__}") from error

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of fraud, shape (n,), for a float32 matrix (n, width)."""
        scores: npt.NDArray[np.float32] = self._session.run(["probabilities"], {"input": matrix})[0]
        return scores[:, 1]
