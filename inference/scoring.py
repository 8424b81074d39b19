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
from inference.events import Completed
from inference.fleet import fleet
from inference.loaded import Loaded
from inference.routing import router
from models_app.ml.signature import PayloadError

MAX_NAMED = 50
MAX_LATENCY_US = 2**31 - 1  # what the column holds


@dataclass(frozen=True)
class Shape:
    """What rows are, and where they stand in a request's body."""

    field: str
    is_list: bool
    are_events: bool = False

    def place(self, index: int) -> str:
        """A row's name."""
        return f"{self.field}.{index}" if self.is_list else self.field


FEATURES = Shape("features", is_list=False)
INSTANCES = Shape("instances", is_list=True)
EVENT = Shape("event", is_list=False, are_events=True)
EVENTS = Shape("events", is_list=True, are_events=True)


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
    shape: Shape = FEATURES,
) -> Answer:
    """Score rows, record them, answer. `started` is `time.perf_counter()` at arrival.

    The rows are features, or raw events that the version's feature set
    completes. Raises `Invalid` naming each wrong feature or field, `NotFound`,
    `NotDeployed`, `JournalFull`, or `NotReady` when the online store can't
    answer; nothing is recorded then, and nothing answered.
    """
    route = router().route(fleet.get(model_key), rows[0])
    loaded = route.loaded
    contexts: Sequence[Mapping[str, Any]] = ()
    if shape.are_events:
        completed = _completed(loaded, rows, shape)
        rows, contexts = completed.rows, completed.contexts
    scored = _scored(loaded, rows, shape)
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
    records = [
        {"id": row.prediction_id, "score": row.score, "decision": row.decision, "features": values}
        | common
        for row, values in zip(scored, rows, strict=True)
    ]
    for record, context in zip(records, contexts, strict=False):  # none for given features
        record["context"] = context
    journal.writer().append(records)
    _count(loaded, scored, elapsed)
    return Answer(
        model=loaded.model_name,
        version=loaded.version,
        threshold=loaded.policy.review,
        latency_ms=round(elapsed * 1000, 3),
        rows=tuple(scored),
    )


def _completed(loaded: Loaded, rows: Sequence[Mapping[str, Any]], shape: Shape) -> Completed:
    if loaded.reader is None:
        instead = INSTANCES if shape.is_list else FEATURES
        raise Invalid.field(
            shape.field,
            f"version {loaded.version} of {loaded.model_name} has no feature set to complete"
            f" events with; send {instead.field!r}, with a value for each of its features",
        )
    return loaded.reader.complete(rows, places=[shape.place(i) for i in range(len(rows))])


def _scored(loaded: Loaded, rows: Sequence[Mapping[str, Any]], shape: Shape) -> list[Scored]:
    try:
        matrix = loaded.signature.encode_rows(rows)
    except PayloadError as error:
        raise _invalid(error, shape, many=len(rows) > 1) from None
    scores = loaded.score(matrix)
    if not all(map(math.isfinite, scores)):
        raise NotReady(f"Version {loaded.version} gave a score that is not a number.")
    return [Scored(str(ids.time_ordered()), score, loaded.policy.decide(score)) for score in scores]


def _invalid(error: PayloadError, shape: Shape, *, many: bool) -> Invalid:
    found = [FieldError(_place(name, shape, many), t) for name, t in error.problems[:MAX_NAMED]]
    more = len(error.problems) - len(found)
    detail = "; ".join(f"{e.field}: {e.message}" for e in found[:5])
    return Invalid(detail + (f"; and {more} more" if more else ""), errors=found)


def _place(name: str, shape: Shape, many: bool) -> str:
    """What the caller knows a feature as: "instances.3.amount", "event.features.amount_7d"."""
    index, feature = name.split(".", 1) if many else ("0", name)
    inside = "features." if shape.are_events else ""
    return f"{shape.place(int(index))}.{inside}{feature}"


def _count(loaded: Loaded, scored: Sequence[Scored], elapsed: float) -> None:
    version = str(loaded.version)
    telemetry.LATENCY.labels(loaded.model_name, version).observe(elapsed)
    counts: dict[str, int] = {}
    for row in scored:
        counts[row.decision] = counts.get(row.decision, 0) + 1
    for decision, count in counts.items():
        telemetry.PREDICTIONS.labels(loaded.model_name, version, decision).inc(count)
