"""The pipeline's second half: calibration, thresholds, evaluation, importance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_app.ml.calibration import Calibration
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature
from training.ml import calibrating, curves, intervals, leaks, metrics, thresholds
from training.ml.algorithms.contract import Fitted
from training.ml.metrics import DAY, Scores
from training.ml.part import Part
from training.ml.preparing import Ready
from training.ml.request import Reporter, Request

EXPLAINED = 200  # rows
_EXPLAINED_CELLS = 8000  # rows times columns: a sampled explanation costs that many scores
REFERENCE = 2000  # rows whose medians are the row that explanations start from
UNLABELLED_SHARE = 0.01


@dataclass(frozen=True)
class Judged:
    """How scores become decisions, and the evidence for it on validation rows."""

    calibration: Calibration
    policy: Policy
    metrics: dict[str, Any]


def scores_of(fitted: Fitted, part: Part) -> Scores:
    """Raw scores of all rows, shape (n,)."""
    if not part.is_large:
        return fitted.predict(part.matrix)
    return np.concatenate([fitted.predict(batch) for batch in part.batches()])


def decide(request: Request, ready: Ready, fitted: Fitted, report: Reporter) -> Judged:
    """Calibrate and choose thresholds on the validation rows."""
    report.step("calibrate", 80)
    raw = scores_of(fitted, ready.validation)
    if ready.validation.labels is None:
        policy = thresholds.by_share(raw, _share(request, ready))
        return Judged(Calibration(), policy, {})
    labels = ready.validation.truth
    found = calibrating.choose(labels, raw, wanted=request.calibration, seed=request.split.seed)
    report.log(
        f"Calibration: {found.curve.method} (ECE {found.before:.4f} raw, {found.after:.4f} kept)."
    )
    report.step("choose thresholds", 82)
    scores = found.curve.apply(raw)
    policy = thresholds.choose(labels, scores, ready.beside(ready.parts.validation), request.policy)
    validation = metrics.evaluate(labels, scores, threshold=policy.review)
    evidence = {"validation": validation, "calibration": found.to_json()}
    return Judged(found.curve, policy, evidence)


def evaluate(
    request: Request, ready: Ready, fitted: Fitted, judged: Judged, report: Reporter
) -> dict[str, Any]:
    """What the test rows say. Raises `LeakSuspected` for scores that are too good."""
    report.step("evaluate", 85)
    if ready.test.labels is None:
        report.log("Nobody knows which rows are fraud: there is nothing to evaluate by.")
        return {"importance": importance(ready, fitted)}
    labels, review = ready.test.truth, judged.policy.review
    scores = judged.calibration.apply(scores_of(fitted, ready.test))
    beside = ready.beside(ready.parts.test)
    test = metrics.evaluate(labels, scores, threshold=review)
    per_day = request.evaluation.alerts_per_day
    test |= metrics.evaluate_more(labels, scores, beside, threshold=review, alerts_per_day=per_day)
    seed = request.split.seed
    sure = intervals.bootstrap(labels, scores, threshold=review, seed=seed)
    test["intervals"] = {name: list(ends) for name, ends in sure.items()}
    report.log(f"Held-out AUROC {_said(test, 'auroc')}, AP {_said(test, 'average_precision')}.")
    for line in leaks.refuse(leaks.in_scores(test), request.overrides):
        report.log(line)
    return {
        "test": test,
        "curves": curves.of(labels, scores),
        "importance": importance(ready, fitted),
    }


def importance(ready: Ready, fitted: Fitted) -> list[list[Any]]:
    """(feature, share) of the mean absolute contribution to the log-odds of some test rows,
    highest first; the shares sum to 1."""
    count = min(len(ready.test), EXPLAINED, max(10, _EXPLAINED_CELLS // ready.signature.width))
    rows = ready.test.take(np.linspace(0, len(ready.test) - 1, count).astype(np.intp))
    found = np.abs(fitted.explain(rows, reference(ready.train))).mean(axis=0)
    total = float(found.sum()) or 1.0
    shares = _by_feature(ready.signature, found / total)
    return sorted(([name, round(share, 6)] for name, share in shares), key=lambda row: -row[1])


def reference(train: Part) -> npt.NDArray[np.float32]:
    """The medians of training rows, shape (1, width): what explanations compare a row with."""
    places = np.linspace(0, len(train) - 1, min(len(train), REFERENCE)).astype(np.intp)
    rows = train.take(places)
    empty = np.isnan(rows).all(axis=0)
    middle = np.full(rows.shape[1], np.nan, np.float32)
    middle[~empty] = np.nanmedian(rows[:, ~empty], axis=0)
    return middle[None, :]


def _by_feature(signature: Signature, shares: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    ends = np.cumsum([feature.width for feature in signature.features])
    parts = np.split(shares, ends[:-1])
    return [(f.name, float(p.sum())) for f, p in zip(signature.features, parts, strict=True)]


def _share(request: Request, ready: Ready) -> float:
    """The share of rows that the team can look at."""
    seconds = ready.data.seconds
    if seconds is None:
        return UNLABELLED_SHARE
    days = max(1.0, float(np.ptp(seconds)) / DAY)
    return min(0.5, request.policy.alerts * days / len(seconds))


def _said(found: dict[str, Any], name: str) -> str:
    ends = found["intervals"].get(name)
    return f"{found[name]:.4f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
