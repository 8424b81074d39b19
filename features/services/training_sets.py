"""Training sets built at once, for whoever waits for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.utils import timezone

from aegisml.base.errors import FieldError, Invalid
from features import offline
from features.models import FeatureSet
from features.services.stretches import stretch_problems

LABEL = "label"


@dataclass(frozen=True)
class Summary:
    """What was built: rows, those labelled fraud, each feature's share of nulls (0 to 1), and
    sentences that its reader should know."""

    rows: int
    frauds: int
    null_shares: dict[str, float]
    notes: Sequence[str]


@dataclass(frozen=True)
class Wanted:
    """The events of [since, until); labels as known at `mature_at` (None: now). With `as_known`
    false features see whatever happened before, known then or not."""

    feature_set: FeatureSet
    since: datetime
    until: datetime
    as_known: bool = True
    mature_at: datetime | None = None


def build(*, wanted: Wanted, target: Path, report: Callable[[int], None]) -> Summary:
    """Write a training set to `target`; `report` hears percents.

    Raises `Invalid` naming what is wrong with the times.
    """
    problems = list(stretch_problems(wanted.since, wanted.until))
    if wanted.mature_at is not None and wanted.mature_at > timezone.now():
        problems.append(FieldError("mature-at", "lies in the future"))
    if problems:
        raise Invalid.fields(problems)
    built = offline.training_set(
        wanted.feature_set,
        since=wanted.since,
        until=wanted.until,
        target=target,
        as_known=wanted.as_known,
        mature_at=wanted.mature_at,
        report=report,
    )
    members = wanted.feature_set.members.all()
    names = [name for member in members for name in member.names]
    with pq.ParquetFile(target) as file:
        frauds = pc.sum(file.read([LABEL])[LABEL]).as_py() or 0
        nulls = {name: _nulls(file, name) for name in names}
    shares = {name: count / built.rows if built.rows else 0.0 for name, count in nulls.items()}
    return Summary(built.rows, int(frauds), shares, built.notes)


def _nulls(file: pq.ParquetFile, name: str) -> int:
    return int(file.read([name])[name].null_count)
