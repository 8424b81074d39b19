"""From a caller's values to a recorded decision: what every door of prediction walks."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aegisml.base import ids
from aegisml.base.auth import roles
from aegisml.base.auth.roles import Identity
from aegisml.base.errors import FieldError, Invalid, NotReady
from inference import journal, telemetry
from inference.fleet import fleet
from inference.loaded import Loaded
from inference.routing import router
from models_app.ml.signature import PayloadError

MAX_NAMED = 50
MAX_LATENCY_US = 2**31 - 1  # what the column holds


@dataclass(frozen=True)
class Scored:
    """One answered row."""

    prediction_id: str
    score: float
    decision: str


@dataclass(frozen=True)
class Answer:
    """Answered rows, all by one version; `latency_ms` covers the whole request."""

    model: str
    version: int
    threshold: float
    latency_ms: float
    rows: tuple[Scored, ...]


def authorize(identity: Identity) -> None:
    """Raises `Forbidden` unless the caller may predict."""
    identity.require(roles.PREDICT)


def predict(
    *,
    model_key: str,
    rows: Sequence[Mapping[str, Any]],
    identity: Identity,
    request_id: str,
    started: float,
) -> Answer:
    """Score rows, record them, answer. `started` is `time.perf_counter()` at arrival.

    Raises `Invalid` naming each wrong feature, `NotFound`, `NotDeployed`, or
    `JournalFull`; nothing is recorded then, and nothing answered.
    """
    route = router().route(fleet.get(model_key), rows[0])
    loaded = route.loaded
    try:
        matrix = loaded.signature.encode_rows(rows)
    except PayloadError as error:
        raise _invalid(error, batch=len(rows) > 1) from None
    scores = loaded.scorer.score(matrix).tolist()
    if not all(map(math.isfinite, scores)):
        raise NotReady(f"Version {loaded.version} gave a score that is not a number.")
    scored = [
        Scored(str(ids.time_ordered()), score, loaded.policy.decide(score)) for score in scores
    ]
    elapsed = time.perf_counter() - started
    common = {
        "at": datetime.now(tz=UTC).isoformat(),
        "model": loaded.model_id,
        "version": loaded.version_id,
        "arm": route.arm,
        "threshold": loaded.policy.review,
        "latency_us": min(int(elapsed * 1e6), MAX_LATENCY_US),
        "caller": identity.username,
        "request_id": request_id,
    }
    journal.writer().append(
        {"id": row.prediction_id, "score": row.score, "decision": row.decision, "features": values}
        | common
        for row, values in zip(scored, rows, strict=True)
    )
    _count(loaded, scored, elapsed)
    return Answer(
        model=loaded.model_name,
        version=loaded.version,
        threshold=loaded.policy.review,
        latency_ms=round(elapsed * 1000, 3),
        rows=tuple(scored),
    )


def _invalid(error: PayloadError, *, batch: bool) -> Invalid:
    prefix = "instances." if batch else "features."
    found = [FieldError(prefix + name, text) for name, text in error.problems[:MAX_NAMED]]
    more = len(error.problems) - len(found)
    detail = "; ".join(f"{e.field}: {e.message}" for e in found[:5])
    return Invalid(detail + (f"; and {more} more" if more else ""), errors=found)


def _count(loaded: Loaded, scored: Sequence[Scored], elapsed: float) -> None:
    version = str(loaded.version)
    telemetry.LATENCY.labels(loaded.model_name, version).observe(elapsed)
    counts: dict[str, int] = {}
    for row in scored:
        counts[row.decision] = counts.get(row.decision, 0) + 1
    for decision, count in counts.items():
        telemetry.PREDICTIONS.labels(loaded.model_name, version, decision).inc(count)
