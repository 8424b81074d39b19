"""What a file from outside is, and what becomes of it: the files of a bundle, and the facts.

Pure work on bytes, for the child process of `sandbox`. Nothing here unpickles or runs code that
a file brings.
"""

from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, BinaryIO, Literal

import orjson

from models_app.ml.exchange import (
    archives,
    graphs,
    mlflow,
    packages,
    probe,
    signatures,
)
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature

Format = Literal["bundle", "onnx", "xgboost", "mlflow"]
THRESHOLD = 0.5
NOT_CHOSEN = "not chosen on data"
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@dataclass(frozen=True)
class Limits:
    """What is taken. `names` are the files that a bundle may hold."""

    names: frozenset[str]
    zips: archives.Limits = field(default_factory=archives.Limits)


@dataclass(frozen=True)
class Taken:
    """A version in the making. `about` is what its manifest says beside the hashes."""

    format: Format
    algorithm: str
    files: dict[str, bytes]
    signature: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def take_in(stream: BinaryIO, wishes: Wishes, limits: Limits) -> Taken:
    """The version in a file: a zip of ours, an MLflow model folder as a zip, an ONNX model, or
    XGBoost's UBJSON or JSON. Raises `Refused` saying what is wrong."""
    head = stream.read(len(archives.MAGIC))
    stream.seek(0)
    if head == archives.MAGIC:
        entries = archives.unpack(stream, limits.zips)
        if packages.MANIFEST in entries:
            return _package(entries, wishes, limits)
        return _mlflow(entries, wishes)
    data = stream.read(limits.zips.file_bytes + 1)
    if len(data) > limits.zips.file_bytes:
        raise Refused(f"holds more than {limits.zips.file_bytes:,} bytes")
    archives.refuse_pickle("the file", data)
    if data.lstrip()[:1] == b"{":
        return _boosted(data, wishes)
    return _graph(data, wishes)


def _package(entries: dict[str, bytes], wishes: Wishes, limits: Limits) -> Taken:
    if wishes != Wishes():
        raise Refused("a zip of this platform brings all of this with it", field="signature")
    package = packages.read(entries, limits.names)
    onnx, width = package.files["model.onnx"], package.signature.width
    found = graphs.foreign(onnx)
    if graphs.in_our_layout(found, shape=(1, graphs.CLASSES)) != onnx:
        raise Refused("model.onnx: has other inputs or outputs than a model of ours")
    _check_width(found.layout.width, width)
    matrix = probe.rows(package.signature, graphs.split_values(onnx))
    scores = probe.check(onnx, matrix)
    if "model.ubj" in package.files:
        native = _boosters().load(package.files["model.ubj"])
        _check_width(native.width, width)
        probe.parity(scores, native.predict(matrix))
    told = package.told
    return Taken(
        format="bundle",
        algorithm=told["algorithm"],
        files=package.files,
        signature=package.signature.to_json(),
        about=package.about,
        parameters=told["parameters"],
        metrics=told["metrics"],
        lineage=told["lineage"],
        origin={key: told.get(key) for key in ("model", "version", "feature_set")},
    )


def _graph(data: bytes, wishes: Wishes) -> Taken:
    found = graphs.foreign(data, output=wishes.output)
    signature = _signature(wishes, None, found.layout.width)
    _check_width(found.layout.width, signature.width)
    matrix = probe.rows(signature, graphs.split_values(data))
    onnx = _normalized(found, matrix, wishes)
    probe.check(onnx, matrix)
    return Taken(
        format="onnx",
        algorithm="external",
        files=_files(onnx, signature, wishes),
        signature=signature.to_json(),
        notes=tuple(found.notes),
    )


def _normalized(found: graphs.Foreign, matrix: probe.Rows, wishes: Wishes) -> bytes:
    loaded = probe.session(found.data)
    kinds = {"float": "float32", "double": "float64"}
    raw = matrix[:2].astype(kinds[graphs.FLOATS[found.layout.kind]])
    shape: tuple[int, ...] = (2, graphs.CLASSES)
    if not found.layout.zipped:
        shape = probe.run(loaded, found.layout.source, found.layout.output, raw).shape
        if shape[:1] != (2,):
            raise Refused(f"gives scores of shape {shape} for 2 rows")
    onnx = graphs.in_our_layout(found, shape=shape, fill=wishes.fill)
    return graphs.with_width(onnx, matrix.shape[1])


def _boosted(data: bytes, wishes: Wishes) -> Taken:
    if wishes.fill is not None or wishes.output is not None:
        raise Refused("is for ONNX models; XGBoost takes missing values", field="fill")
    native = _boosters().load(data)
    signature = _signature(wishes, native.names, native.width)
    _check_width(native.width, signature.width)
    onnx = graphs.with_width(native.onnx(), signature.width)
    matrix = probe.rows(signature, graphs.split_values(onnx))
    worst = probe.parity(probe.check(onnx, matrix), native.predict(matrix))
    return Taken(
        format="xgboost",
        algorithm="xgboost",
        files={**_files(onnx, signature, wishes), "model.ubj": native.native()},
        signature=signature.to_json(),
        parameters={"n_estimators": native.rounds},
        metrics={"parity_max_difference": worst, "rounds": native.rounds},
        notes=(f"{native.rounds} trees were converted to ONNX.",),
    )


def _mlflow(entries: dict[str, bytes], wishes: Wishes) -> Taken:
    found = mlflow.read(entries)
    if wishes.signature is None:
        wishes = replace(wishes, signature=found.signature)
    taken = (_graph if found.flavor == "onnx" else _boosted)(found.data, wishes)
    files = dict(taken.files)
    if found.policy is not None and wishes.threshold is None:
        files["policy.json"] = orjson.dumps(found.policy, option=_OPTIONS)
    return Taken(
        format="mlflow",
        algorithm=taken.algorithm,
        files=files,
        signature=taken.signature,
        parameters=taken.parameters,
        metrics=taken.metrics,
        origin=found.origin,
        notes=(f"From MLflow's flavor {found.flavor}.", *taken.notes),
    )


def _boosters() -> Any:
    """Imported when it is needed: XGBoost and its converter take seconds."""
    return import_module("models_app.ml.exchange.boosters")


def _signature(wishes: Wishes, names: tuple[str, ...] | None, width: int | None) -> Signature:
    if wishes.signature is not None:
        return signatures.read(wishes.signature)
    if names:
        return signatures.read(names)
    columns = "its columns" if width is None else f"its {width} columns"
    raise Refused(
        f"the file doesn't name {columns}; say which features it takes", field="signature"
    )


def _check_width(has: int | None, wanted: int) -> None:
    if has is not None and has != wanted:
        raise Refused(f"fills {wanted} columns, and the model takes {has}", field="signature")


def _files(onnx: bytes, signature: Signature, wishes: Wishes) -> dict[str, bytes]:
    threshold = THRESHOLD if wishes.threshold is None else wishes.threshold
    said = "by default" if wishes.threshold is None else "as given at the import"
    policy = Policy(threshold, None, f"review from {threshold:g} {said}; {NOT_CHOSEN}")
    documents_ = {
        "signature.json": signature.to_json(),
        "preprocess.json": {
            "columns": signature.columns, "missing": "nan", "dtype": "float32"
        },
        "policy.json": policy.to_json(),
    }  # fmt: skip
    return {
        "model.onnx": onnx,
        **{name: orjson.dumps(data, option=_OPTIONS) for name, data in documents_.items()},
    }
