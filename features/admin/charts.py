"""Profiles as bars: how values are distributed, and which share is null day by day."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from features.ml.listing import spelled
from features.models import FeatureProfile

DAYS = 30


@dataclass(frozen=True)
class Bar:
    """`height` is in percent of the chart's."""

    title: str
    height: float


@dataclass(frozen=True)
class Chart:
    """Bars from left to right, with what stands below both ends."""

    title: str
    bars: list[Bar]
    left: str = ""
    right: str = ""


@dataclass(frozen=True)
class FeatureCharts:
    """A feature over some days: `newest` is its newest profile."""

    newest: FeatureProfile
    values: Chart
    nulls: Chart


def of_version(profiles: Iterable[FeatureProfile], names: Sequence[str]) -> list[FeatureCharts]:
    """The features of one version in the order of `names`, from its profiles of some days."""
    by_feature: dict[str, list[FeatureProfile]] = {}
    for profile in sorted(profiles, key=lambda p: p.day):
        by_feature.setdefault(profile.feature, []).append(profile)
    found = (by_feature[name] for name in names if name in by_feature)
    return [FeatureCharts(days[-1], distribution(days), null_shares(days)) for days in found]


def distribution(days: Sequence[FeatureProfile]) -> Chart:
    """The days' values together. Days whose numbers were counted between other edges than the
    newest day's can't be added, and are left out."""
    newest = days[-1].shown_histogram
    if "edges" in newest:
        alike = [p for p in days if p.shown_histogram.get("edges") == newest["edges"]]
        sums = [sum(c) for c in zip(*(p.histogram["counts"] for p in alike), strict=True)]
        return _numbers(newest["edges"], sums, len(alike))
    counts: Counter[str] = Counter()
    for profile in days:
        shown = profile.shown_histogram
        counts.update(shown["levels"])
        counts["(all others)"] += shown["other"]
    bars = _bars([(level, count) for level, count in counts.most_common() if count])
    return Chart(_over(len(days)), bars, *_ends(bars))


def null_shares(days: Sequence[FeatureProfile]) -> Chart:
    """The share of nulls on each day from the first to the last; days without events are empty."""
    by_day = {profile.day: profile for profile in days}
    first, last = days[0].day, days[-1].day
    shown = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    bars = [_null_bar(day, by_day.get(day)) for day in shown]
    return Chart("Null, by day", bars, f"{first}", f"{last}")


def _numbers(edges: Sequence[float], counts: Sequence[int], days: int) -> Chart:
    low = ["", *map(spelled, edges)]
    high = [*map(spelled, edges), ""]
    places = [
        f"{a} to {b}" if a and b else f"below {b}" if b else f"from {a}" if a else "all values"
        for a, b in zip(low, high, strict=True)
    ]
    bars = _bars(list(zip(places, counts, strict=True)))
    left, right = (f"below {high[0]}", f"from {low[-1]}") if edges else ("", "")
    return Chart(_over(days), bars, left, right)


def _null_bar(day: date, profile: FeatureProfile | None) -> Bar:
    if profile is None or not profile.rows:
        return Bar(f"{day}: no events", 0)
    share = profile.nulls / profile.rows
    return Bar(f"{day}: {share:.1%} of {profile.rows:,}", 100 * share)


def _bars(counts: Sequence[tuple[str, int]]) -> list[Bar]:
    highest = max((count for _, count in counts), default=0) or 1
    return [Bar(f"{name}: {count:,}", 100 * count / highest) for name, count in counts]


def _ends(bars: Sequence[Bar]) -> tuple[str, str]:
    return ("most frequent", "least frequent") if len(bars) > 1 else ("", "")


def _over(days: int) -> str:
    return "Values of one day" if days == 1 else f"Values of {days} days"
