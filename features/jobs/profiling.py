"""How the features of a view version are distributed, day by day of event time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from features import offline
from features.ml import profile
from features.ml.definition import Feature
from features.ml.profile import Profile
from features.models import FeatureProfile, FeatureViewVersion

log = structlog.get_logger(__name__)

# Edges that were cut from a day with so many values are kept; fewer are replaced by a better day's.
ENOUGH = 1_000
HALF = (0.5,)  # between false and true


def profile_yesterday() -> int:
    """Profile each live version's features of yesterday (UTC); gives how many versions."""
    yesterday = timezone.now().date() - timedelta(days=1)
    versions = FeatureViewVersion.objects.live().select_related("view__stream", "view__entity")
    return sum(_is_profiled(version, yesterday) for version in versions)


def _is_profiled(version: FeatureViewVersion, day: date) -> bool:
    try:
        profile_day(version, day)
    except (OSError, pa.ArrowException, duckdb.Error):  # the other versions go on
        log.exception("profiling failed", version=str(version), day=str(day))
        return False
    return True


def profile_day(version: FeatureViewVersion, day: date) -> list[FeatureProfile]:
    """Profile a version's features over the events of one day; a day that was profiled before
    is profiled anew. Numbers are counted between the edges of earlier days."""
    start = datetime.combine(day, time(), tzinfo=UTC)
    table = offline.backfill(version, since=start, until=start + timedelta(days=1))
    kept = _kept_edges(version)
    made = [
        _of_feature(version, feature, day, table, kept.get(feature.name))
        for feature in version.compiled.features
    ]
    with transaction.atomic():
        FeatureProfile.objects.bulk_create(
            made,
            update_conflicts=True,
            unique_fields=["version", "feature", "day"],
            update_fields=[
                "rows", "nulls", "histogram", "quantiles", "newest_event_at", "computed_at",
            ],
        )  # fmt: skip
    return made


def _kept_edges(version: FeatureViewVersion) -> dict[str, dict[str, Any]]:
    """By feature: the histogram whose edges were cut from the most values."""
    best = (
        FeatureProfile.objects.filter(version=version, histogram__has_key="sample")
        .order_by("feature", F("histogram__sample").desc(), "day")
        .distinct("feature")
    )
    return dict(best.values_list("feature", "histogram"))


def _of_feature(
    version: FeatureViewVersion,
    feature: Feature,
    day: date,
    table: pa.Table,
    kept: Mapping[str, Any] | None,
) -> FeatureProfile:
    column = table[feature.name].combine_chunks()
    if feature.kind == "category":
        found = profile.of_texts(column.to_pylist())
        histogram = dict(found.to_json()["histogram"])
    else:
        found, histogram = _of_numbers(feature, _numbers(feature, column), kept)
    newest = pc.max(table["event_time"].filter(column.is_valid())).as_py()
    return FeatureProfile(
        version=version,
        feature=feature.name,
        day=day,
        rows=found.rows,
        nulls=found.nulls,
        histogram=histogram,
        quantiles=dict(found.quantiles),
        newest_event_at=newest,
        computed_at=timezone.now(),
    )


def _of_numbers(
    feature: Feature, values: npt.NDArray[np.float64], kept: Mapping[str, Any] | None
) -> tuple[Profile, dict[str, Any]]:
    """`sample` says from how many values the edges were cut; 0 when they cut nothing."""
    present = int(np.isfinite(values).sum())
    if feature.kind == "boolean":
        edges: Sequence[float] = HALF
        sample = ENOUGH
    elif kept is not None and (kept["sample"] >= ENOUGH or kept["sample"] >= present):
        edges, sample = kept["edges"], kept["sample"]
    else:
        edges = profile.edges_of(values)
        sample = present if edges else 0
    found = profile.of_numbers(values, edges)
    return found, {**found.to_json()["histogram"], "sample": sample}


def _numbers(feature: Feature, column: pa.Array) -> npt.NDArray[np.float64]:
    """Numbers and booleans as they are; of a sequence its length, an empty one being null."""
    if feature.kind == "sequence":
        return np.array([len(steps or ()) or np.nan for steps in column.to_pylist()], np.float64)
    numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)
