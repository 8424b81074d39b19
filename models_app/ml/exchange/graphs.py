"""ONNX graphs: what one may hold, and bringing a foreign one into our layout.

Our layout: `input` (n, width) float32 -> `probabilities` (n, 2) float32, whose second column is
the probability of fraud.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, checker, compose, helper, inliner, numpy_helper

from models_app.ml.calibration import Calibration
from models_app.ml.exchange.errors import Refused

INPUT, OUTPUT = "input", "probabilities"
CLASSES = 2
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
UNBOUNDED = frozenset({"Loop"})  # how often it turns may depend on a row
FLOATS: dict[int, str] = {TensorProto.FLOAT: "float", TensorProto.DOUBLE: "double"}
OPSET = 17
_IR = 8  # before version 4, tensors had to be inputs too
_ORT_FORMAT = b"ORTM"  # at the fifth byte: the runtime would read it by other rules than ours
_PREFIX = "model_"


@dataclass(frozen=True)
class Layout:
    """Where a graph takes its matrix and gives its scores; `width` is None where any will do.

    `zipped`: the output is a list of dictionaries, as scikit-learn's converter makes them by
    default.
    """

    source: str
    kind: int
    width: int | None
    output: str
    output_kind: int
    zipped: bool = False


@dataclass
class Foreign:
    """A graph from outside that passed the checks."""

    model: Any
    data: bytes
    layout: Layout
    notes: list[str] = field(default_factory=list)


def parsed(data: bytes) -> Any:
    """The model in `data`.

    Raises `Refused` unless it is a valid ONNX model that keeps all its tensors inside, uses the
    standard operators only, and always ends.
    """
    if data[4:8] == _ORT_FORMAT:
        raise Refused("is in the runtime's own format; export it as plain ONNX")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise Refused("is not a whole ONNX model") from None
    if not model.graph.node:
        raise Refused("is not an ONNX model, or one without any operator")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise Refused(
                f"the tensor {tensor.name[:80]!r} lies in another file; export the model in one"
                " file (save_as_external_data=False)"
            )
    if model.functions:
        model = inliner.inline_local_functions(model)
    _check_operators(model)
    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError) as error:
        raise Refused(f"is not a valid ONNX model: {str(error).splitlines()[0][:200]}") from None
    return model


def _check_operators(model: Any) -> None:
    if model.training_info:
        raise Refused("holds training graphs; export the model for inference")
    for node in _nodes(model):
        if node.domain not in DOMAINS:
            raise Refused(
                f"the operator {node.op_type[:80]!r} is of the domain {node.domain[:80]!r};"
                " only standard ones (ai.onnx, ai.onnx.ml) are taken"
            )
        if node.op_type in UNBOUNDED:
            raise Refused(f"the operator {node.op_type} may run without end, and is not taken")


def foreign(data: bytes, *, output: str | None = None) -> Foreign:
    """A model of any layout of one float matrix to scores; raises `Refused` for other layouts.

    `output` names the scores where the graph has several that could be meant.
    """
    model = parsed(data)
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initial]
    if len(inputs) != 1:
        raise Refused(f"has {len(inputs)} inputs; one matrix of numbers is taken")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in FLOATS:
        raise Refused("its input must be a matrix of floats")
    sizes = [size.dim_value or None for size in tensor.shape.dim]
    if tensor.HasField("shape") and len(sizes) != 2:  # noqa: PLR2004 - rows and columns
        raise Refused(f"its input has {len(sizes)} dimensions; a matrix (rows, columns) is taken")
    if sizes and sizes[0] is not None:
        raise Refused(f"takes exactly {sizes[0]} rows at a time; export it for any number of rows")
    width = sizes[1] if sizes else None
    score, kind, zipped = _scores(model, output)
    layout = Layout(inputs[0].name, tensor.elem_type, width, score, kind, zipped)
    return Foreign(model, data, layout)


def in_our_layout(found: Foreign, *, shape: tuple[int, ...], fill: float | None = None) -> bytes:
    """The model with our input and output, and in `found.notes` what was changed for it.

    `shape` is that of its scores for some rows, as it was observed; `fill` stands for a missing
    number where the model itself can't take one. A model that fits already is left to the byte.
    """
    layout = found.layout
    if fill is None and _fits(layout, shape) and layout.width is not None:
        return found.data
    model = compose.add_prefix(found.model, _PREFIX)
    graph = model.graph
    source, score = _PREFIX + layout.source, _PREFIX + layout.output
    if layout.zipped:
        score = _without_zip(graph, score)
        found.notes.append("Its list of dictionaries was replaced by the matrix behind it.")
    head = _head(layout, source, fill, found.notes)
    tail = _tail(layout, score, shape, found.notes)
    kept = [*head, *graph.node, *tail]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.input.append(_matrix(INPUT, None))
    graph.output.append(_matrix(OUTPUT, CLASSES))
    if all(entry.domain != "" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = max(model.ir_version, _IR)
    if (layout.source, layout.output) != (INPUT, OUTPUT):
        found.notes.append(
            f"Its input {layout.source[:80]!r} and output {layout.output[:80]!r} are reached by"
            " our names."
        )
    return _checked(model)


def with_width(data: bytes, width: int) -> bytes:
    """The model, whose input is ours, declaring how many columns it takes."""
    model = onnx.ModelProto.FromString(data)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if len(dims) == 2 and dims[1].dim_value == width:  # noqa: PLR2004
        return data
    model.graph.input[0].CopyFrom(_matrix(INPUT, width))
    return bytes(model.SerializeToString())


def with_calibration(data: bytes, curve: Calibration) -> bytes:
    """A model of our layout whose scores are calibrated inside the graph.

    The curve is a sum of clipped lines: y0 + sum of slope * clip(score - x, 0, step).
    """
    if curve.method == "none":
        return data
    model = compose.add_prefix(onnx.ModelProto.FromString(data), _PREFIX)
    graph = model.graph
    graph.initializer.extend(_curve_tensors(curve))
    node = helper.make_node
    graph.node.extend(
        [
            node("Gather", [_PREFIX + OUTPUT, "cal_fraud"], ["cal_raw"], axis=1),
            node("Cast", ["cal_raw"], ["cal_score"], to=TensorProto.DOUBLE),
            node("Sub", ["cal_score", "cal_x"], ["cal_over"]),
            node("Max", ["cal_over", "cal_zero"], ["cal_up"]),
            node("Min", ["cal_up", "cal_step"], ["cal_clipped"]),
            node("MatMul", ["cal_clipped", "cal_slope"], ["cal_sum"]),
            node("Add", ["cal_sum", "cal_first"], ["cal_p"]),
            node("Sub", ["cal_one", "cal_p"], ["cal_q"]),
            node("Concat", ["cal_q", "cal_p"], ["cal_both"], axis=1),
            node("Cast", ["cal_both"], [OUTPUT], to=TensorProto.FLOAT),
            node("Identity", [INPUT], [_PREFIX + INPUT]),
        ]
    )
    first = graph.node.pop()
    graph.node.insert(0, first)
    width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    del graph.input[:], graph.output[:]
    graph.input.append(_matrix(INPUT, width or None))
    graph.output.append(_matrix(OUTPUT, CLASSES))
    return _checked(model)


def _curve_tensors(curve: Calibration) -> list[Any]:
    x, y = np.asarray(curve.x), np.asarray(curve.y)
    steps = np.diff(x)
    constants = {
        "cal_x": x[:-1],
        "cal_step": steps,
        "cal_zero": np.zeros(1),
        "cal_slope": (np.diff(y) / steps)[:, None],
        "cal_first": y[:1],
        "cal_one": np.ones(1),
    }
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return [*tensors, numpy_helper.from_array(np.asarray([1], np.int64), "cal_fraud")]


def split_values(data: bytes) -> dict[int, list[float]]:
    """Where the trees of a model cut, by column: rows exactly there are the hardest to agree on."""
    cuts: dict[int, set[float]] = {}
    for node in _nodes(onnx.ModelProto.FromString(data)):
        found = {entry.name: entry for entry in node.attribute}
        if "nodes_featureids" in found and "nodes_values" in found:
            values = found["nodes_values"].floats
            for column, value in zip(found["nodes_featureids"].ints, values, strict=False):
                cuts.setdefault(column, set()).add(value)
    return {column: sorted(values) for column, values in cuts.items()}


def _scores(model: Any, wanted: str | None) -> tuple[str, int, bool]:
    """The output that holds scores: its name, element type, and whether it is zipped."""
    could: dict[str, tuple[int, bool]] = {}
    for value in model.graph.output:
        if value.type.HasField("sequence_type"):
            if any(n.op_type == "ZipMap" and value.name in n.output for n in model.graph.node):
                could[value.name] = (TensorProto.FLOAT, True)
        elif value.type.tensor_type.elem_type in FLOATS:
            could[value.name] = (value.type.tensor_type.elem_type, False)
    if wanted is not None:
        chosen = [wanted] if wanted in could else []
    else:
        likely = [name for name in could if "prob" in name.lower()]
        chosen = likely if len(likely) == 1 else list(could)
    if len(chosen) != 1:
        names = ", ".join(repr(value.name[:80]) for value in model.graph.output)
        raise Refused(f"which output is the probability? It has {names}", field="output")
    return chosen[0], *could[chosen[0]]


def _fits(layout: Layout, shape: tuple[int, ...]) -> bool:
    floats = layout.kind == layout.output_kind == TensorProto.FLOAT
    named = (layout.source, layout.output) == (INPUT, OUTPUT)
    return floats and named and not layout.zipped and shape[1:] == (CLASSES,)


def _head(layout: Layout, source: str, fill: float | None, notes: list[str]) -> list[Any]:
    nodes, given = [], INPUT
    if fill is not None:
        value = numpy_helper.from_array(np.asarray([fill], np.float32))
        nodes = [
            helper.make_node("IsNaN", [INPUT], ["missing"]),
            helper.make_node("Constant", [], ["fill"], value=value),
            helper.make_node("Where", ["missing", "fill", INPUT], ["filled"]),
        ]
        notes.append(f"A missing number counts as {fill:g}.")
        given = "filled"
    if layout.kind == TensorProto.FLOAT:
        return [*nodes, helper.make_node("Identity", [given], [source])]
    notes.append(f"Its input takes {FLOATS[layout.kind]} numbers; ours are widened to them.")
    return [*nodes, helper.make_node("Cast", [given], [source], to=layout.kind)]


def _tail(layout: Layout, score: str, shape: tuple[int, ...], notes: list[str]) -> list[Any]:
    nodes = [helper.make_node("Cast", [score], ["score"], to=TensorProto.FLOAT)]
    if shape[1:] == (CLASSES,):
        return [*nodes, helper.make_node("Identity", ["score"], [OUTPUT])]
    if shape[1:] not in ((), (1,)):
        raise Refused(f"gives scores of shape {shape}; (rows, 2), (rows, 1) or (rows,) are taken")
    one = numpy_helper.from_array(np.ones(1, np.float32))
    column = numpy_helper.from_array(np.asarray([-1, 1], np.int64))
    notes.append("Its one score a row was taken as the probability of fraud.")
    return [
        *nodes,
        helper.make_node("Constant", [], ["one"], value=one),
        helper.make_node("Constant", [], ["column"], value=column),
        helper.make_node("Reshape", ["score", "column"], ["fraud"]),
        helper.make_node("Sub", ["one", "fraud"], ["honest"]),
        helper.make_node("Concat", ["honest", "fraud"], [OUTPUT], axis=1),
    ]


def _without_zip(graph: Any, score: str) -> str:
    """Take away the node that makes dictionaries; gives the matrix that it reads."""
    place = next(i for i, n in enumerate(graph.node) if n.op_type == "ZipMap" and score in n.output)
    return str(graph.node.pop(place).input[0])


def _matrix(name: str, columns: int | None) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, columns])


def _checked(model: Any) -> bytes:
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        text = str(error).splitlines()[0][:200]
        raise Refused(f"can't be brought into our layout: {text}") from None
    return bytes(model.SerializeToString(deterministic=True))


def _nodes(model: Any) -> Iterator[Any]:
    """Every node, those of subgraphs and functions too."""
    waiting = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for entry in node.attribute:
            graphs = [entry.g] if entry.HasField("g") else []
            waiting += [inner for graph in (*graphs, *entry.graphs) for inner in graph.node]


def _graphs(model: Any) -> Iterator[Any]:
    yield model.graph
    for node in _nodes(model):
        for entry in node.attribute:
            if entry.HasField("g"):
                yield entry.g
            yield from entry.graphs


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for entry in node.attribute:
            sparse = [entry.sparse_tensor] if entry.HasField("sparse_tensor") else []
            yield from ([entry.t] if entry.HasField("t") else [])
            yield from entry.tensors
            for found in (*sparse, *entry.sparse_tensors):
                yield from (found.values, found.indices)
