"""What a version's page shows. Every key may be missing: versions are older than the pages, and
some come from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models_app.admin import curves, markdown
from models_app.ml.compare import MEASURES
from models_app.models import ModelVersion
from models_app.services import evidence

SHOWN_IMPORTANCE = 20
WHOLE = ("rows", "frauds")
_ENDS = 2  # numbers that an interval has


@dataclass(frozen=True)
class Row:
    """A metric on held-out rows, its 95 % interval, and the same on validation rows."""

    label: str
    test: str
    interval: str
    validation: str


@dataclass(frozen=True)
class Bar:
    """A feature's share of what moves the scores; `width` is in percent of the highest."""

    name: str
    share: float
    width: float


def page(version: ModelVersion) -> dict[str, Any]:
    """The template's context."""
    metrics, lineage = version.metrics, version.lineage
    test, validation = metrics.get("test") or {}, metrics.get("validation") or {}
    found = evidence.of_version(version)
    return {
        "measures": _measures(test, validation),
        "confusion": test.get("confusion_matrix"),
        "precision_at": sorted((test.get("precision_at") or {}).items(), key=_by_count),
        "at_alerts": test.get("recall_at_alerts_per_day"),
        "segments": test.get("segments") or [],
        "typologies": test.get("typologies") or [],
        "plots": curves.of_version(metrics),
        "importance": _importance(metrics.get("importance") or []),
        "more_importance": max(0, len(metrics.get("importance") or []) - SHOWN_IMPORTANCE),
        "calibration": _calibration(metrics, found),
        "facts": [(label, text) for label, text in _facts(metrics) if text],
        "features": version.signature.get("features", []),
        "dataset": lineage.get("dataset"),
        "split": lineage.get("split"),
        "notes": [
            note
            for part in ("dataset", "split")
            for note in (lineage.get(part) or {}).get("notes") or []
        ],
        "overrides": (lineage.get("split") or {}).get("overrides") or {},
        "libraries": lineage.get("libraries") or {},
        "code_version": lineage.get("code_version"),
        "parent": lineage.get("parent"),
        "imported": lineage.get("imported"),
        "evidence": found,
        "policy": found.policy,
        "card": None if found.card is None else markdown.html(found.card),
    }


def number(value: Any, *, whole: bool = False) -> str:
    """A number for people; "-" where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
    return f"{value:,.0f}" if whole else f"{value:.4f}"


def interval(ends: Any) -> str:
    """An interval for people; "" where there is none."""
    if not isinstance(ends, list | tuple) or len(ends) != _ENDS or None in ends:
        return ""
    return f"{ends[0]:.4f} to {ends[1]:.4f}"


def _measures(test: Mapping[str, Any], validation: Mapping[str, Any]) -> list[Row]:
    intervals = test.get("intervals") or {}
    return [
        Row(
            label,
            number(test.get(name), whole=name in WHOLE),
            interval(intervals.get(name)),
            number(validation.get(name), whole=name in WHOLE),
        )
        for name, label, _ in MEASURES
        if test.get(name) is not None or validation.get(name) is not None
    ]


def _importance(shares: list[Any]) -> list[Bar]:
    shown = shares[:SHOWN_IMPORTANCE]
    highest = max((share for _, share in shown), default=0) or 1
    return [Bar(name, share, 100 * max(0, share) / highest) for name, share in shown]


def _calibration(metrics: Mapping[str, Any], found: evidence.Evidence) -> dict[str, str] | None:
    told = metrics.get("calibration") or {}
    method = told.get("method") or (found.calibration or {}).get("method")
    if method is None:
        return None
    return {
        "method": method,
        "before": number(told.get("ece_before")),
        "after": number(told.get("ece_after")),
    }


def _facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    rounds, worst = (
        metrics.get("rounds", metrics.get("trees")),
        metrics.get("parity_max_difference"),
    )
    seconds = metrics.get("seconds") or {}
    return [
        ("Trees, epochs or steps", "" if rounds is None else f"{rounds:,}"),
        ("ONNX differs at most by", "" if worst is None else f"{worst:.1e}"),
        ("Took", f"{sum(seconds.values()):.1f} s" if seconds else ""),
    ]


def _by_count(item: tuple[str, Any]) -> int:
    return int(item[0]) if item[0].isdecimal() else 0
