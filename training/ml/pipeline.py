"""From a file of transactions to the files of a version, in named steps."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson

from models_app.ml import profile
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature
from training.ml import card, columns, features, metrics, parity, reading
from training.ml import split as splitting
from training.ml.algorithms import xgboost

Part = tuple[xgboost.Matrix, xgboost.Labels]

LIBRARIES = ("xgboost", "onnxmltools", "onnxruntime", "numpy", "pyarrow", "scikit-learn")


class Reporter(Protocol):
    """Where the pipeline tells how far it is. Each call may raise `Cancelled`."""

    def step(self, name: str, percent: int) -> None: ...
    def log(self, line: str) -> None: ...
    def round(self, done: int, total: int, validation_ap: float, percent: int) -> None: ...


@dataclass(frozen=True)
class Request:
    """What to train: a name for the card, the columns, the split, and the algorithm's numbers.

    `dataset_name` tells the file's format; `origin` is what the lineage says about where the
    rows come from.
    """

    model: str
    dataset_name: str
    hyperparameters: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    choices: columns.Choices = field(default_factory=columns.Choices)
    split: splitting.SplitRequest = field(default_factory=splitting.SplitRequest)
    max_bytes: int = 4 * 1024**3
    threads: int = 1


@dataclass(frozen=True)
class Trained:
    """The files of a bundle and the evidence about it."""

    files: dict[str, bytes]
    metrics: dict[str, Any]
    signature: dict[str, Any]
    lineage: dict[str, Any]


@dataclass(frozen=True)
class _Ready:
    """A data set made ready: each part is (matrix, labels)."""

    digest: str
    data: columns.Columns
    parts: splitting.Split
    signature: Signature
    train: Part
    validation: Part
    test: Part


def run(request: Request, file: BinaryIO, report: Reporter) -> Trained:
    """Train on `file`; raises `TrainingError`, or `Cancelled` when the reporter says so."""
    ready = _prepare(request, file, report)
    fitted = _fit(request, ready, report)
    policy, judged = _judge(ready, fitted, report)

    report.step("profile", 88)
    known = ready.data.take(ready.parts.train)
    reference = profile.make(ready.signature, known, fitted.predict(ready.train[0]))

    onnx, worst = _export(request, ready, fitted, report)
    found = judged | {"parity_max_difference": worst, "trees": fitted.rounds}
    lineage = _lineage(request, ready)
    written = card.write(request.model, found, lineage, ready.signature, policy)
    return Trained(
        files=_files(onnx, fitted, ready.signature, policy, reference)
        | {"card.md": written.encode()},
        metrics=found,
        signature=ready.signature.to_json(),
        lineage=lineage,
    )


def _prepare(request: Request, file: BinaryIO, report: Reporter) -> _Ready:
    report.step("load", 2)
    digest = reading.fingerprint(file)
    table = reading.read(file, name=request.dataset_name, max_bytes=request.max_bytes)
    report.log(f"Read {table.num_rows:,} rows and {table.num_columns} columns.")

    report.step("validate", 8)
    data = columns.assign(table, request.choices)
    _tell_columns(data, report)

    report.step("split", 12)
    parts = splitting.make(data.labels, data.seconds, request.split)
    _tell_split(parts, data, report)

    report.step("preprocess", 15)
    signature = features.fit_signature(data, parts.train)
    train, validation, test = (
        (signature.encode_columns(data.take(rows)), data.labels[rows])
        for rows in (parts.train, parts.validation, parts.test)
    )
    report.log(f"{len(signature.features)} features fill {signature.width} input columns.")
    return _Ready(digest, data, parts, signature, train, validation, test)


def _fit(request: Request, ready: _Ready, report: Reporter) -> xgboost.Fitted:
    report.step("fit", 20)
    return xgboost.fit(
        ready.train,
        ready.validation,
        request.hyperparameters,
        seed=request.split.seed,
        threads=request.threads,
        on_round=lambda done, total, ap: report.round(done, total, ap, 20 + 60 * done // total),
    )


def _judge(
    ready: _Ready, fitted: xgboost.Fitted, report: Reporter
) -> tuple[Policy, dict[str, Any]]:
    report.step("choose thresholds", 82)
    matrix, labels = ready.validation
    scores = fitted.predict(matrix)
    policy = metrics.choose_policy(labels, scores)
    validation = metrics.evaluate(labels, scores, threshold=policy.review)

    report.step("evaluate", 85)
    matrix, labels = ready.test
    test = metrics.evaluate(labels, fitted.predict(matrix), threshold=policy.review)
    report.log(f"Held-out AUROC {test['auroc']:.4f}, AP {test['average_precision']:.4f}.")
    return policy, {"test": test, "validation": validation}


def _export(
    request: Request, ready: _Ready, fitted: xgboost.Fitted, report: Reporter
) -> tuple[bytes, float]:
    report.step("export", 91)
    onnx = fitted.onnx()

    report.step("check parity", 95)
    probe = parity.sample(ready.test[0], request.split.seed)
    worst = parity.check(onnx, probe, fitted.predict(probe))
    report.log(f"ONNX and XGBoost scores agree to {worst:.1e} on {len(probe):,} rows.")
    return onnx, worst


def _files(
    onnx: bytes,
    fitted: xgboost.Fitted,
    signature: Signature,
    policy: Policy,
    reference: dict[str, Any],
) -> dict[str, bytes]:
    return {
        "model.onnx": onnx,
        "model.ubj": fitted.native(),
        "signature.json": orjson.dumps(signature.to_json(), option=orjson.OPT_INDENT_2),
        "preprocess.json": orjson.dumps(
            {"columns": signature.columns, "missing": "nan", "dtype": "float32"},
            option=orjson.OPT_INDENT_2,
        ),
        "policy.json": orjson.dumps(policy.to_json(), option=orjson.OPT_INDENT_2),
        "profile.json": orjson.dumps(reference),
    }


def _lineage(request: Request, ready: _Ready) -> dict[str, Any]:
    data, parts = ready.data, ready.parts
    return {
        "dataset": {
            **request.origin,
            "sha256": ready.digest,
            "rows": len(data.labels),
            "frauds": int(data.labels.sum()),
            "label": data.label_name,
            "time": data.time_name,
            "dropped": data.dropped,
        },
        "split": {
            "method": parts.method,
            "gap_days": parts.gap_days,
            "note": parts.note,
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "seed": request.split.seed,
        },
        "libraries": {name: installed(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
    }


def _tell_columns(data: columns.Columns, report: Reporter) -> None:
    frauds = int(data.labels.sum())
    share = frauds / len(data.labels)
    report.log(f"Label {data.label_name}: {frauds:,} of {len(data.labels):,} rows ({share:.2%}).")
    for name, why in data.dropped.items():
        report.log(f"Left out {name}: {why}.")


def _tell_split(parts: splitting.Split, data: columns.Columns, report: Reporter) -> None:
    by = f"time ({data.time_name})" if data.time_name else parts.method
    sizes = ", ".join(
        f"{name} {len(rows):,} rows / {int(np.sum(data.labels[rows])):,} fraud"
        for name, rows in (
            ("train", parts.train), ("validation", parts.validation), ("test", parts.test)
        )
    )  # fmt: skip
    report.log(f"Split by {by}, gap {parts.gap_days:g} days ({parts.note}): {sizes}.")
