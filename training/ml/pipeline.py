"""From a file of transactions to the files of a version, in named steps."""

import hashlib
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any, BinaryIO

import numpy as np
import orjson

from models_app.ml import profile
from training.ml import algorithms, card, judging, parity
from training.ml.algorithms.contract import Algorithm, Context, Fitted, Round
from training.ml.part import Part
from training.ml.preparing import Ready, prepared
from training.ml.request import Reporter, Request, Trained

STEPS = (
    "load", "validate", "split", "preprocess", "fit", "fit again", "calibrate",
    "choose thresholds", "evaluate", "profile", "export", "check parity",
)  # fmt: skip
LIBRARIES = (
    "xgboost", "scikit-learn", "torch", "onnx", "onnxruntime", "skl2onnx", "onnxmltools", "numpy",
    "pyarrow",
)  # fmt: skip
PROFILED = 500_000  # training rows that the reference profile counts
CURVE_POINTS = 200
_FIT, _FITTED = 20, 80  # percent


def run(request: Request, file: BinaryIO, report: Reporter) -> Trained:
    """Train on `file`; raises `TrainingError`, or `Cancelled` when the reporter says so."""
    algorithm = algorithms.load(request.algorithm)
    timed = _Timed(report)
    with prepared(request, file, algorithm, timed) as ready:
        learning = _Learning(timed)
        fitted = fit(request, ready, algorithm, learning, upto=50 if request.refit else _FITTED)
        judged = judging.decide(request, ready, fitted, timed)
        if request.refit:
            fitted = _refit(request, ready, algorithm, fitted, timed)
        found = judging.evaluate(request, ready, fitted, judged, timed)
        files = _files(request, ready, fitted, judged, timed)
        onnx, worst = _export(request, ready, fitted, timed)
        lineage = _lineage(request, ready)
    found = judged.metrics | found
    found.setdefault("curves", {})["learning"] = learning.points()
    found |= {"parity_max_difference": worst, "rounds": fitted.rounds, "seconds": timed.seconds()}
    written = card.write(request.model, found, lineage, ready.signature, judged.policy)
    return Trained(
        files=files | {"model.onnx": onnx, "card.md": written.encode()},
        metrics=found,
        signature=ready.signature.to_json(),
        lineage=lineage,
    )


def fit(
    request: Request, ready: Ready, algorithm: Algorithm, learning: "_Learning", *, upto: int
) -> Fitted:
    """The model of the training rows, watched on the validation rows."""
    learning.report.step("fit", _FIT)
    context = _context(request, ready, "fit", learning.watching(_FIT, upto))
    return algorithm.fit(ready.train, ready.validation, request.hyperparameters, context)


def _refit(
    request: Request, ready: Ready, algorithm: Algorithm, fitted: Fitted, report: "_Timed"
) -> Fitted:
    """The same on train and validation rows, once rounds, calibration and thresholds are known."""
    report.step("fit again", 50)
    rows = np.concatenate([ready.parts.train, ready.parts.validation])
    labels = None if ready.data.labels is None else ready.data.labels[rows]
    part = Part(rows, ready.signature.width, ready.train.encode, labels)
    watch = _Learning(report).watching(50, _FITTED)
    context = _context(request, ready, "fit again", watch)
    return algorithm.fit(part, None, fitted.refit_parameters(), context)


def _context(request: Request, ready: Ready, name: str, watch: Any) -> Context:
    seen = [
        ready.digest, request.algorithm, dict(request.hyperparameters), request.split.seed,
        ready.signature.to_json(), [len(part) for part in (ready.train, ready.validation)],
        hashlib.sha256(ready.parts.train.tobytes()).hexdigest(), _libraries(),
    ]  # fmt: skip
    digest = hashlib.sha256(orjson.dumps(seen, default=str)).hexdigest()
    return Context(
        seed=request.split.seed,
        threads=request.threads,
        signature=ready.signature,
        watch=watch,
        checkpoints=request.checkpoints(name, digest),
        members=request.members,
    )


def _files(
    request: Request, ready: Ready, fitted: Fitted, judged: judging.Judged, report: Reporter
) -> dict[str, bytes]:
    report.step("profile", 88)
    rows = ready.parts.train
    if len(rows) > PROFILED:
        rows = rows[np.linspace(0, len(rows) - 1, PROFILED).astype(np.intp)]
    known = ready.data.take(rows)
    raw = fitted.predict(ready.signature.encode_columns(known))
    reference = profile.make(ready.signature, known, judged.calibration.apply(raw))
    native, content = fitted.native()
    signature = ready.signature
    return {
        native: content,
        "signature.json": _json(signature.to_json()),
        "preprocess.json": _json(
            {"columns": signature.columns, "missing": "nan", "dtype": "float32"}
        ),
        "calibration.json": _json(judged.calibration.to_json()),
        "policy.json": _json(judged.policy.to_json()),
        "profile.json": orjson.dumps(reference),
    }


def _export(
    request: Request, ready: Ready, fitted: Fitted, report: Reporter
) -> tuple[bytes, float]:
    report.step("export", 91)
    onnx = fitted.onnx()

    report.step("check parity", 95)
    probe = parity.sample(ready.test, request.split.seed)
    worst = parity.check(onnx, probe, fitted.predict(probe))
    report.log(f"ONNX and {request.algorithm} scores agree to {worst:.1e} on {len(probe):,} rows.")
    return onnx, worst


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _lineage(request: Request, ready: Ready) -> dict[str, Any]:
    data, parts = ready.data, ready.parts
    return {
        "dataset": {
            **request.origin,
            "sha256": ready.digest,
            "rows": len(data),
            "frauds": None if data.labels is None else int(data.labels.sum()),
            "label": data.label_name,
            "time": data.time_name,
            "dropped": data.dropped,
            "notes": [*request.origin.get("notes", ()), *ready.notes],
        },
        "split": {
            "method": parts.method,
            "gap_days": parts.gap_days,
            "note": parts.note,
            "notes": list(parts.notes),
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "seed": request.split.seed,
            "refit": request.refit,
            "overrides": dict(request.overrides),
        },
        "evaluation": {
            "amount": ready.evaluation.amount,
            "entity": ready.evaluation.entity,
            "segments": list(ready.evaluation.segments),
            "typology": ready.evaluation.typology,
        },
        "libraries": _libraries(),
    }


def _libraries() -> dict[str, str]:
    return {name: installed(name) for name in LIBRARIES} | {"python": platform.python_version()}


class _Timed:
    """A reporter that also keeps how long each step took."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._began: list[tuple[str, float]] = []
        self.log = report.log
        self.round = report.round
        self.tick = report.tick

    def step(self, name: str, percent: int) -> None:
        self._began.append((name, time.perf_counter()))
        self._report.step(name, percent)

    def seconds(self) -> dict[str, float]:
        ends = [*(began for _, began in self._began[1:]), time.perf_counter()]
        return {
            name: round(end - began, 3)
            for (name, began), end in zip(self._began, ends, strict=True)
        }


@dataclass
class _Learning:
    """The learning curve of a fit, and its progress."""

    report: Reporter
    rounds: list[Round] | None = None

    def watching(self, low: int, high: int) -> Any:
        self.rounds = []
        rounds = self.rounds

        def watch(done: Round) -> None:
            rounds.append(done)
            self.report.round(done, low + (high - low) * done.done // max(1, done.total))

        return watch

    def points(self) -> list[dict[str, float]]:
        """At most CURVE_POINTS rounds, with what was measured after each."""
        rounds = [r for r in self.rounds or [] if r.metrics]
        places = np.linspace(0, len(rounds) - 1, min(len(rounds), CURVE_POINTS)).astype(int)
        return [{"round": rounds[i].done, **rounds[i].metrics} for i in np.unique(places)]
