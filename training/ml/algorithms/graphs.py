"""Hand-built ONNX graphs: every algorithm's way to serving.

A graph takes INPUT (n, width) float32 with NaN for missing and gives OUTPUT (n, 2) float32.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper

from training.ml.algorithms.contract import INPUT, OPSET, OUTPUT

ML_OPSET = 3
IR_VERSION = 8  # the one of opset 17: older runtimes read it too


class Unfit(ValueError):
    """A model can't become part of a graph; the message goes on after the model's name."""


class Graph:
    """An ONNX graph that is being built; the methods give names of values."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        array = np.ascontiguousarray(values, dtype=dtype)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output; gives its name."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node with several outputs; gives their names."""
        domain = "ai.onnx.ml" if operator.startswith("TreeEnsemble") else ""
        names = [f"value_{len(self._nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(operator, list(inputs), names, domain=domain, **attributes)
        self._nodes.append(node)
        return names

    def columns(self, places: npt.ArrayLike, of: str = INPUT) -> str:
        """The columns at `places`, in that order."""
        return self.add("Gather", of, self.constant(places, np.int64), axis=1)

    def splice(self, model: onnx.ModelProto, prefix: str, value: str) -> str:
        """Make `model` a part that takes `value`; gives the name of its OUTPUT, shape (n, 2).

        `prefix` keeps its names apart from others. Raises `Unfit` for a model that isn't ours.
        """
        inputs = [item.name for item in model.graph.input]
        if inputs != [INPUT] or OUTPUT not in [item.name for item in model.graph.output]:
            raise Unfit(f"doesn't take {INPUT!r} or doesn't give {OUTPUT!r}")
        part = onnx.compose.add_prefix_graph(_at_our_opset(model).graph, prefix)
        self._nodes.append(helper.make_node("Identity", [value], [prefix + INPUT]))
        self._nodes += part.node
        self._constants += part.initializer
        return prefix + OUTPUT

    def pair(self, probability: str) -> str:
        """(1 - p, p), shape (n, 2), of p, shape (n, 1)."""
        other = self.add("Sub", self.constant([1.0]), probability)
        return self.add("Concat", other, probability, axis=1)

    def bytes_of(self, width: int, pair: str) -> bytes:
        """The finished model, which gives the value `pair`, shape (n, 2)."""
        nodes = [*self._nodes, helper.make_node("Identity", [pair], [OUTPUT])]
        return serialized(nodes, self._constants, width)


def _at_our_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    versions = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    strange = versions.keys() - {"ai.onnx", "ai.onnx.ml"}
    if strange or versions.get("ai.onnx.ml", 1) > ML_OPSET or model.functions:
        raise Unfit(f"needs operators beyond ai.onnx.ml {ML_OPSET}")
    if versions.get("ai.onnx", OPSET) == OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except onnx.version_converter.ConvertError as error:
        raise Unfit(f"can't be brought to ONNX opset {OPSET}: {error}") from None


def serialized(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], width: int) -> bytes:
    """A checked model of these nodes, from INPUT to OUTPUT."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 2])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="aegisml")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
