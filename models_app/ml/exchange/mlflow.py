"""MLflow's model folder, written and read without MLflow.

Its format: https://mlflow.org/docs/latest/ml/model/.

`MLmodel` is YAML: `flavors` say by which libraries the model can be loaded and from which file,
`signature` holds two lists of columns or tensors as JSON texts, `metadata` is free.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from typing import Any

import orjson
import yaml

from models_app.ml.exchange import archives, documents
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.graphs import CLASSES, INPUT, OUTPUT
from models_app.ml.policy import Policy

MLMODEL = "MLmodel"
OURS = "aegisml"  # our key in `metadata`
FLAVORS = ("onnx", "xgboost")  # in the order in which they are preferred
MAX_BYTES = 1024**2
MLFLOW_VERSION = "3.0.0"  # whose format this is
# MLflow's kinds of columns that a matrix of numbers can hold, and whether each is a boolean
_KINDS = {"double": False, "float": False, "integer": False, "long": False, "boolean": True}
_FIELD = "file.MLmodel"


@dataclass(frozen=True)
class Found:
    """A model file in an MLflow folder, and what the folder tells about it. `signature` is ours or
    a list of features, if it names its columns; `policy` is there in folders that we wrote."""

    flavor: str
    data: bytes
    signature: Any = None
    policy: dict[str, Any] | None = None
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Described:
    """What is written beside the model: `told` goes into the metadata as it is."""

    uuid: str  # 32 hexadecimal digits
    created: str  # UTC, ISO 8601 without a zone
    width: int
    told: Mapping[str, Any]


def write(onnx: bytes, about: Described) -> dict[str, bytes]:
    """The files of a folder that `mlflow.onnx.load_model` and `mlflow.pyfunc.load_model` read."""
    pins = [f"{name}=={installed(name)}" for name in ("onnx", "onnxruntime", "numpy")]
    requirements = [f"mlflow>={MLFLOW_VERSION}", *pins]
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
    }
    environment = {
        "python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]
    }  # fmt: skip
    return {
        MLMODEL: _yaml(_mlmodel(onnx, about, python)),
        "model.onnx": onnx,
        "requirements.txt": ("\n".join(requirements) + "\n").encode(),
        "conda.yaml": _yaml(conda),
        "python_env.yaml": _yaml(environment),
    }


def read(entries: Mapping[str, bytes]) -> Found:
    """The model in a folder's files, by their paths; MLmodel may lie one folder down.

    Raises `Refused` when there is no flavor that can be read without running what it brings.
    """
    prefix = _prefix(entries)
    told = _read_mlmodel(entries[prefix + MLMODEL])
    flavors = told.get("flavors")
    if not isinstance(flavors, dict):
        raise Refused("has no flavors", field=_FIELD)
    flavor = next((name for name in FLAVORS if name in flavors), None)
    if flavor is None:
        raise _unreadable(sorted(str(name) for name in flavors))
    data = _model_file(entries, prefix, flavors[flavor])
    ours = _ours(told)
    return Found(
        flavor=flavor,
        data=data,
        signature=ours.get("signature") or _columns(told.get("signature")),
        policy=_policy(ours.get("policy")),
        origin={
            "model": ours.get("model"),
            "version": ours.get("version"),
            "mlflow": {
                key: str(told[key])[:100]
                for key in ("run_id", "model_uuid", "utc_time_created", "mlflow_version")
                if told.get(key) is not None
            },
        },
    )


def _mlmodel(onnx: bytes, about: Described, python: str) -> dict[str, Any]:
    return {
        "flavors": {
            "onnx": {
                "code": None,
                "data": "model.onnx",
                "onnx_session_options": None,
                "onnx_version": installed("onnx"),
                "providers": ["CPUExecutionProvider"],
            },
            # MLflow's own loader: the folder brings no code of its own
            "python_function": {
                "code": None,
                "data": "model.onnx",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.onnx",
                "python_version": python,
            },
        },
        "metadata": {OURS: dict(about.told)},
        "mlflow_version": MLFLOW_VERSION,
        "model_size_bytes": len(onnx),
        "model_uuid": about.uuid,
        "signature": {
            "inputs": _tensor(INPUT, about.width),
            "outputs": _tensor(OUTPUT, CLASSES),
            "params": None,
        },
        "utc_time_created": about.created,
    }


def _tensor(name: str, columns: int) -> str:
    spec = {"dtype": "float32", "shape": [-1, columns]}
    return orjson.dumps([{"name": name, "type": "tensor", "tensor-spec": spec}]).decode()


def _yaml(data: Mapping[str, Any]) -> bytes:
    plain = orjson.loads(orjson.dumps(data))  # no anchors, no Python tuples
    return yaml.safe_dump(plain, sort_keys=True, allow_unicode=True, width=1000).encode()


def _prefix(entries: Mapping[str, bytes]) -> str:
    """The folder that MLmodel lies in, "" or "model/"; the one nearest to the top."""
    places = [path.split("/") for path in entries if path.split("/")[-1] == MLMODEL]
    nearest = min(places, key=len, default=None)
    if nearest is None or len(nearest) > 2:  # noqa: PLR2004 - at the top, or one folder down
        raise Refused("is a zip with neither manifest.json (ours) nor MLmodel (MLflow's) in it")
    return "/".join([*nearest[:-1], ""])


def _read_mlmodel(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise Refused(f"is over {MAX_BYTES:,} bytes", field=_FIELD)
    if b"&" in data and b"*" in data and _has_alias(data):
        raise Refused("holds YAML aliases, which MLflow doesn't write", field=_FIELD)
    try:
        told = yaml.safe_load(data)
        # times and other kinds that JSON hasn't become text; keys too
        plain = orjson.dumps(told, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, ValueError, TypeError) as error:
        text = type(error).__name__
        raise Refused(f"can't be read ({text})", field=_FIELD) from None
    return documents.read_object(plain, name=MLMODEL)


def _has_alias(data: bytes) -> bool:
    try:
        return any(isinstance(token, yaml.AliasToken) for token in yaml.scan(data.decode()))
    except (yaml.YAMLError, UnicodeDecodeError):
        return False  # the reader says so better


def _unreadable(names: list[str]) -> Refused:
    shown = ", ".join(archives.shown(name) for name in names[:10])
    return Refused(
        f"has the flavors {shown}; only onnx and xgboost can be read. The others are pickles or"
        " Python code, and reading one runs whatever it brings: save the model with mlflow.onnx"
        " (for scikit-learn by way of skl2onnx) and import that",
        field=_FIELD,
    )


def _model_file(entries: Mapping[str, bytes], prefix: str, flavor: Any) -> bytes:
    path = flavor.get("data") if isinstance(flavor, dict) else None
    if not isinstance(path, str) or not archives.is_plain_path(path):
        raise Refused("its flavor doesn't name a model file", field=_FIELD)
    if prefix + path not in entries:
        raise Refused(f"names the file {archives.shown(path)}, which isn't there", field=_FIELD)
    return entries[prefix + path]


def _ours(told: Mapping[str, Any]) -> dict[str, Any]:
    metadata = told.get("metadata")
    ours = metadata.get(OURS) if isinstance(metadata, dict) else None
    return ours if isinstance(ours, dict) else {}


def _columns(signature: Any) -> list[dict[str, str]] | None:
    """The columns that MLflow's signature names; None when it tells of a tensor, or nothing."""
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if not isinstance(inputs, str):
        return None
    columns = documents.read(inputs, name="signature.inputs", field=_FIELD)
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        return None
    if any(not isinstance(column.get("name"), str) for column in columns):
        return None
    wrong = [c["name"] for c in columns if c.get("type") not in (*_KINDS, "tensor")]
    if wrong:
        raise Refused(
            f"the column {archives.shown(wrong[0])} is no number; give the features of the matrix",
            field="signature",
        )
    if any(column.get("type") == "tensor" for column in columns):
        return None
    kinds = {True: "boolean", False: "numeric"}
    return [{"name": column["name"], "kind": kinds[_KINDS[column["type"]]]} for column in columns]


def _policy(data: Any) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        return Policy(**data).to_json()
    except (TypeError, ValueError) as error:
        raise Refused(f"metadata.{OURS}.policy can't be used ({error})", field=_FIELD) from None
