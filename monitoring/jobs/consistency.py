"""Compares what predictions were served with, with the same features computed again."""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils import timezone

from features.jobs.consistency import Served, compare
from features.log.events import microseconds
from features.ml.schema import Schema
from features.models import ConsistencyRun, FeatureSet
from inference.models import Deployment, Prediction
from monitoring.ml.sampling import place_of

MOST = 5_000  # predictions of one feature set
AT_ONCE = 500
DAY = timedelta(days=1)


def check_last_day() -> list[ConsistencyRun]:
    """`check` for the last 24 hours."""
    now = timezone.now()
    return check(since=now - DAY, until=now)


def check(*, since: datetime, until: datetime, share: float | None = None) -> list[ConsistencyRun]:
    """One run for each feature set that a version deployed within [since, until) pins.

    Compared are the predictions of a sample of entities: `share` of the keys,
    by default the configured one, and at most `MOST` predictions.
    """
    wanted = settings.FEATURES.consistency_sample if share is None else share
    return [
        compare(feature_set, _served(feature_set, since, until, wanted), since, until)
        for feature_set in _deployed(since, until)
    ]


def _deployed(since: datetime, until: datetime) -> list[FeatureSet]:
    within = Deployment.objects.filter(
        Q(ended_at=None) | Q(ended_at__gte=since), created_at__lt=until
    )
    pinned = within.exclude(version__feature_set=None).values("version__feature_set")
    sets = FeatureSet.objects.filter(pk__in=pinned).select_related("stream")
    return list(sets.order_by("name", "number"))


def _served(
    feature_set: FeatureSet, since: datetime, until: datetime, share: float
) -> Iterator[Served]:
    schema = feature_set.stream.schema
    rows = Prediction.objects.filter(
        version__feature_set=feature_set,
        created_at__gte=since,
        created_at__lt=until,
        context__feature_set=str(feature_set),
    )
    chosen = _sample(rows, schema, share)
    for start in range(0, len(chosen), AT_ONCE):
        for row in rows.filter(pk__in=chosen[start : start + AT_ONCE]).order_by("pk"):
            yield _as_served(row, schema)


def _sample(rows: QuerySet[Prediction], schema: Schema, share: float) -> list[UUID]:
    """The predictions of the keys with the lowest places below `share`."""
    field = next(iter(schema.entities.values()))
    event = KeyTransform("event", "context")
    read = rows.order_by().values_list(
        "pk", KeyTextTransform(field, event), KeyTextTransform("event_id", "context")
    )
    placed = (
        (place_of(key or event_id), pk) for pk, key, event_id in read.iterator(chunk_size=10_000)
    )
    chosen = heapq.nsmallest(MOST, (one for one in placed if one[0] < share))
    return [pk for _, pk in chosen]


def _as_served(row: Prediction, schema: Schema) -> Served:
    context: dict[str, Any] = row.context or {}
    event = context["event"]
    answered = microseconds(row.created_at)
    return Served(
        prediction_id=row.pk,
        event_id=context["event_id"],
        event=event,
        keys={
            entity: str(event[field])
            for entity, field in schema.entities.items()
            if event.get(field) is not None
        },
        at=microseconds(datetime.fromisoformat(context["event_time"])),
        asked=answered - row.latency_us,
        known=answered,
        values={name: row.features.get(name) for name in context["features"]},
        rough=[
            version
            for version, state in context["views"].items()
            if state.get("approximate", {}).get("distinct_error")
        ],
    )
