"""What people ask about models and the platform."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone

from inference.models import Prediction
from models_app import bundles
from models_app.ml import profile
from models_app.ml.signature import Feature, Signature
from models_app.models import ModelVersion, RegisteredModel
from monitoring.choices import ModelState
from monitoring.ml import drift
from monitoring.ml.drift import Drift, State
from monitoring.querysets import latency_quantiles

LATENCY_SLO_MS = 50.0
MAX_DRIFT_ROWS = 5000
NOT_DEPLOYED = "No version of this model is deployed."


@dataclass(frozen=True)
class DriftReport:
    """Drift of a window against the champion's reference profile, per input and of the score."""

    state: State
    detail: str
    version: int | None
    since: datetime | None
    rows: int
    score: Drift | None
    features: dict[str, Drift]


def model_metrics(*, model: RegisteredModel, hours: int) -> dict[str, Any]:
    """Training metrics of the champion, and what the log of the last `hours` says."""
    champion = model.versions.champion()
    since = timezone.now() - timedelta(hours=hours)
    rows = Prediction.objects.of_model(model.pk, since=since)
    decisions = dict(rows.values_list("decision").annotate(count=Count("pk")).order_by())
    count = sum(decisions.values())
    return {
        "model": model.name,
        "version": champion.number if champion else None,
        "training": champion.metrics if champion else None,
        "window": {"from": since, "to": timezone.now()},
        "predictions": count,
        "decisions": decisions,
        "latency_ms": latency_quantiles(model.pk, since) if count else None,
        "performance": {
            "state": ModelState.NOT_EVALUABLE,
            "detail": "No labels have arrived for these predictions.",
        },
    }


def model_health(*, model: RegisteredModel) -> dict[str, Any]:
    """A state with its reasons: ok, warning, or not_evaluable."""
    champion = model.versions.champion()
    if champion is None:
        return _health(model, ModelState.NOT_EVALUABLE, [NOT_DEPLOYED])
    since = timezone.now() - timedelta(hours=24)
    rows = Prediction.objects.of_model(model.pk, since=since)
    last = rows.aggregate(last=Max("created_at"))["last"]
    if last is None:
        return _health(model, ModelState.NOT_EVALUABLE, ["No predictions in the last 24 hours."])
    reasons = []
    p95 = latency_quantiles(model.pk, since)["p95"]
    if p95 > LATENCY_SLO_MS:
        reasons.append(f"p95 latency is {p95:.1f} ms, over {LATENCY_SLO_MS:g} ms.")
    moved = model_drift(model=model)
    if moved.state is State.DRIFT:
        reasons.append(moved.detail)
    state = ModelState.WARNING if reasons else ModelState.OK
    return _health(model, state, reasons or [f"Last prediction at {last:%Y-%m-%d %H:%M:%S} UTC."])


def model_drift(*, model: RegisteredModel) -> DriftReport:
    """Compare the champion's latest window with its reference profile."""
    champion = model.versions.champion()
    if champion is None:
        return _not_evaluated(NOT_DEPLOYED, None)
    detection = settings.DRIFT_DETECTION
    if not detection.enabled:
        return _not_evaluated("Drift detection is switched off.", champion)
    since = timezone.now() - timedelta(hours=detection.window_hours)
    rows = list(
        Prediction.objects.of_model(model.pk, since=since)
        .filter(version=champion)
        .order_by("-created_at")
        .values_list("features", "score")[:MAX_DRIFT_ROWS]
    )
    _, files = bundles.read(champion.bundle_folder, digest=champion.bundle_digest)
    if "profile.json" not in files:
        return _not_evaluated("The version was imported without a reference profile.", champion)
    reference = orjson.loads(files["profile.json"])
    signature = Signature.from_json(champion.signature)
    features = {
        feature.name: _feature_drift(
            feature, reference["features"][feature.name], [row[0].get(feature.name) for row in rows]
        )
        for feature in signature.features
        if feature.name in reference["features"]
    }
    score = _score_drift(reference["score"], [row[1] for row in rows])
    return _report(champion, since, len(rows), score, features)


def _report(
    champion: ModelVersion, since: datetime, rows: int, score: Drift, features: dict[str, Drift]
) -> DriftReport:
    moved = [name for name, found in features.items() if found.state is State.DRIFT]
    if score.state is State.DRIFT:
        moved.append("the score")
    if rows < settings.DRIFT_DETECTION.min_predictions:
        state = State.INSUFFICIENT
        least = settings.DRIFT_DETECTION.min_predictions
        detail = f"Not evaluable yet: {rows} predictions in the window, {least} are needed."
    elif moved:
        state, detail = State.DRIFT, f"Drift in {', '.join(moved)}."
    else:
        state, detail = State.OK, "No drift."
    return DriftReport(state, detail, champion.number, since, rows, score, features)


def _feature_drift(feature: Feature, stored: dict[str, Any], values: list[Any]) -> Drift:
    bins = profile.Bins.from_json(stored)
    kind = object if feature.kind == "category" else np.float64
    column = np.array([_raw(feature, value) for value in values], dtype=kind)
    current = profile.bin_feature(feature, column, bins.edges)
    return _compare(bins, current, ordered=feature.kind != "category")


def _raw(feature: Feature, value: Any) -> Any:
    if feature.kind == "category":
        return value
    return np.nan if value is None else float(value)


def _score_drift(stored: dict[str, Any], scores: list[float]) -> Drift:
    bins = profile.Bins.from_json(stored)
    current = profile.bin_numbers(np.array(scores, dtype=np.float64), bins.edges)
    return _compare(bins, current, ordered=True)


def _compare(reference: profile.Bins, current: profile.Bins, *, ordered: bool) -> Drift:
    return drift.compare(
        np.array(reference.counts),
        np.array(current.counts),
        method=settings.DRIFT_DETECTION.drift_method,
        threshold=settings.DRIFT_DETECTION.drift_threshold,
        ordered=ordered,
        least=settings.DRIFT_DETECTION.min_predictions,
    )


def _not_evaluated(detail: str, champion: ModelVersion | None) -> DriftReport:
    number = champion.number if champion else None
    return DriftReport(State.NOT_EVALUATED, detail, number, None, 0, None, {})


def _health(model: RegisteredModel, state: ModelState, reasons: list[str]) -> dict[str, Any]:
    return {"model": model.name, "state": state, "reasons": reasons}
