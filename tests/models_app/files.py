"""Model files as people bring them, made without training anything."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import xgboost as xgb
import yaml
from onnx import TensorProto, helper, numpy_helper

COLUMNS = ["amount", "age_days", "is_night"]
WEIGHTS = np.asarray([[0.01], [-0.002], [1.5]], np.float32)
FLOAT = TensorProto.FLOAT


def logistic(*, output: str = "column", kind: int = FLOAT, **changes: Any) -> onnx.ModelProto:
    """sigmoid(x @ WEIGHTS), as "column" (n, 1), "flat" (n,), "both" (n, 2) or "logit" (n, 1).

    A missing value counts as 0. `changes`: rows (a fixed number of them), nodes (more of them),
    imports (domains).
    """
    numbers = np.float32 if kind == FLOAT else np.float64
    weights = numpy_helper.from_array(WEIGHTS.astype(numbers), "weights")
    zero = numpy_helper.from_array(np.zeros(1, numbers), "zero")
    one = numpy_helper.from_array(np.ones(1, numbers), "one")
    axes = numpy_helper.from_array(np.asarray([1], np.int64), "axes")
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
        helper.make_node("MatMul", ["known", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["column"]),
        helper.make_node("Sub", ["one", "column"], ["rest"]),
        helper.make_node("Concat", ["rest", "column"], ["both"], axis=1),
        helper.make_node("Squeeze", ["column", "axes"], ["flat"]),
    ]
    shape = {"flat": [None], "both": [None, 2]}.get(output, [None, 1])
    graph = helper.make_graph(
        [*changes.get("nodes", []), *nodes],
        "logistic",
        [helper.make_tensor_value_info("x", kind, [changes.get("rows"), len(COLUMNS)])],
        [helper.make_tensor_value_info(output, kind, shape)],
        [weights, zero, one, axes],
    )
    imports = [helper.make_opsetid("", 17), *changes.get("imports", [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def expected(rows: np.ndarray) -> np.ndarray:
    """Scores of `logistic`, shape (n,)."""
    logits = np.nan_to_num(rows) @ WEIGHTS.astype(np.float64)
    return 1 / (1 + np.exp(-logits[:, 0]))


def with_external_data() -> bytes:
    model = logistic()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return model.SerializeToString()


def with_custom_operator() -> bytes:
    node = helper.make_node("Shell", ["x"], ["nothing"], domain="com.example")
    model = logistic(nodes=[node], imports=[helper.make_opsetid("com.example", 1)])
    return model.SerializeToString()


def with_loop() -> bytes:
    """A graph that turns as often as it is told."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])],
    )
    node = helper.make_node("Loop", ["", ""], [], body=body)
    return logistic(nodes=[node]).SerializeToString()


def booster(names: Sequence[str] | None = COLUMNS, **parameters: Any) -> xgb.Booster:
    """A few trees on numbers made up."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((400, len(COLUMNS))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    labels = (np.nan_to_num(rows) @ [1.0, -0.5, 0.3] > 0.4).astype(int)
    data = xgb.DMatrix(rows, labels, feature_names=list(names) if names else None)
    options = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, **parameters}
    return xgb.train(options, data, num_boost_round=8)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An ordinary zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def mlmodel(flavors: Mapping[str, Any], signature: str | None = None, **more: Any) -> bytes:
    told = {"flavors": dict(flavors), "mlflow_version": "3.0.0", "model_uuid": "0" * 32, **more}
    if signature is not None:
        told["signature"] = {"inputs": signature, "outputs": None, "params": None}
    return yaml.safe_dump(told).encode()
