"""Served feature values against the same features computed again from the event log."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import structlog
from django.utils import timezone

from features import offline
from features.choices import RunStatus
from features.log.events import as_typed
from features.ml.consistency import Tally, agree
from features.ml.definition import View
from features.ml.durations import SECOND
from features.models import ConsistencyRun, FeatureSet
from features.offline import Again

log = structlog.get_logger(__name__)

GIVEN_UP_AFTER = timedelta(hours=6)
LAGS = (0, 50_000, 250_000, SECOND)  # before the question, in microseconds


@dataclass(frozen=True)
class Served:
    """What a prediction was answered with: its event, which needn't be in the log, and `values`
    by feature. `at` is the event's time, `asked` and `known` are when the question came and when
    the answer was given; all in microseconds.

    `rough` names the view versions ("view@v2") whose counts of different values were estimates.
    """

    prediction_id: UUID
    event_id: str
    event: Mapping[str, Any]
    keys: Mapping[str, str]
    at: int
    asked: int
    known: int
    values: Mapping[str, Any]
    rough: Collection[str] = field(default=())


def compare(
    feature_set: FeatureSet, served: Iterable[Served], since: datetime, until: datetime
) -> ConsistencyRun:
    """Compute `served` again and keep what came of it as a run, the worst feature first.

    An event takes its time from the log to the online store, and one that arrived while the
    question was answered may have been seen or not. So values are right, too, when they are what
    was known at the question or up to a second before it. What was an estimate when it was
    served, and said so, is not compared.
    """
    _give_up_stalled()
    run = ConsistencyRun.objects.create(feature_set=feature_set, since=since, until=until)
    try:
        _compare(run, list(served))
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        log.exception("consistency check failed", run=str(run.pk))
        run.status = RunStatus.FAILED
        run.error = f"The event log can't be read: {type(error).__name__}."
    else:
        run.status = RunStatus.SUCCEEDED
    run.finished_at = timezone.now()
    run.save()
    return run


def _compare(run: ConsistencyRun, served: Sequence[Served]) -> None:
    members = list(run.feature_set.members.select_related("version__view__stream"))
    estimates = {str(member.version): _estimates(member.version.compiled) for member in members}
    version_of = {name: str(member.version) for member in members for name in member.names}
    tally = Tally()
    for one, again in zip(served, _known_then(run.feature_set, served), strict=True):
        left_out = {name for version in one.rough for name in estimates[version]}
        compared = {name: v for name, v in one.values.items() if name not in left_out}
        tally.add(str(one.prediction_id), compared, again)
    run.compared, run.disagreeing = tally.compared, tally.disagreeing
    run.features = [
        {
            "feature": name,
            "version": version_of[name],
            **asdict(agreement),
            "examples": [
                {"prediction": found.who, "served": found.served, "again": found.again}
                for found in tally.examples(name)
            ],
        }
        for name, agreement in tally.agreements()
    ]


def _known_then(feature_set: FeatureSet, served: Sequence[Served]) -> list[dict[str, Any]]:
    """What was known when each was answered; where that isn't what it got, but what was known a
    moment before is, then that."""
    found = _again(feature_set, served, [one.known for one in served])
    apart = [i for i, one in enumerate(served) if not _is_equal(one.values, found[i])]
    for lag in LAGS:
        doubtful = [served[i] for i in apart]
        before = _again(feature_set, doubtful, [one.asked - lag for one in doubtful])
        for i, again in zip(apart, before, strict=True):
            if _is_equal(served[i].values, again):
                found[i] = again
        apart = [i for i in apart if not _is_equal(served[i].values, found[i])]
    return found


def _is_equal(values: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
    return all(agree(value, again.get(name)) for name, value in values.items())


def _again(
    feature_set: FeatureSet, served: Sequence[Served], moments: Sequence[int]
) -> list[dict[str, Any]]:
    """The features by what was known at each moment."""
    if not served:
        return []
    schema = feature_set.stream.schema
    asks = [
        Again(
            event_id=one.event_id,
            event=as_typed(schema, dict(one.event)),
            keys=dict(one.keys),
            at=one.at,
            known=moment,
        )
        for one, moment in zip(served, moments, strict=True)
    ]
    return offline.served_again(feature_set, asks)


def _estimates(view: View) -> set[str]:
    """The features that are estimates when the view is answered from tiles: counts of different
    values, and what is made of them."""
    found = {a.name for a in view.aggregations if a.function == "distinct"}
    for transform in view.transforms:
        if found & transform.expression.names:
            found.add(transform.name)
    return found


def _give_up_stalled() -> None:
    """Runs whose worker vanished say so."""
    stalled = ConsistencyRun.objects.filter(
        status=RunStatus.RUNNING, created_at__lt=timezone.now() - GIVEN_UP_AFTER
    )
    stalled.update(
        status=RunStatus.FAILED,
        error="Its worker ended before it was done.",
        finished_at=timezone.now(),
    )
