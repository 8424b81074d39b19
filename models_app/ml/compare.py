"""Versions side by side: what was measured, and what went in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["higher", "lower"]
LOW, HIGH = 0, 1

# name in metrics["test"], label, which way is better
MEASURES: tuple[tuple[str, str, Better | None], ...] = (
    ("auroc", "AUROC", "higher"),
    ("average_precision", "Average precision", "higher"),
    ("precision", "Precision", "higher"),
    ("recall", "Recall", "higher"),
    ("f1", "F1", "higher"),
    ("card_precision_at_100", "Card precision at 100", "higher"),
    ("value_weighted_recall", "Recall by value", "higher"),
    ("brier", "Brier score", "lower"),
    ("ece", "Calibration error", "lower"),
    ("threshold", "Threshold", None),
    ("rows", "Rows", None),
    ("frauds", "Frauds", None),
    ("prevalence", "Share of fraud", None),
)
_SKIPPED_LINEAGE = ("imported.notes",)


@dataclass(frozen=True)
class Side:
    """One of the versions that are compared."""

    name: str
    metrics: Mapping[str, Any]
    parameters: Mapping[str, Any]
    lineage: Mapping[str, Any]
    signature: Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A metric of each version on its held-out rows, None where it wasn't measured.

    `best` are the places of the best value, none where nothing is better or all are alike.
    `overlaps_best`: whether the 95 % interval of a version meets that of the best one; None where
    an interval is missing. Intervals that don't meet tell a difference beyond chance; those that
    do may hide one.
    """

    name: str
    label: str
    better: Better | None
    values: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    best: tuple[int, ...]
    overlaps_best: tuple[bool | None, ...]


@dataclass(frozen=True)
class Line:
    """A parameter, a fact of the lineage or a feature's kind in each version; None: hasn't it."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class Comparison:
    """`same_rows`: whether all were measured on the same rows, as far as the lineage tells; None
    when it doesn't."""

    names: tuple[str, ...]
    same_rows: bool | None
    measures: tuple[Measure, ...]
    parameters: tuple[Line, ...]
    lineage: tuple[Line, ...]
    features: tuple[Line, ...]

    @property
    def note(self) -> str:
        """What to keep in mind when reading the metrics."""
        if self.same_rows:
            return "All were measured on the same held-out rows."
        if self.same_rows is None:
            return "Whether all were measured on the same held-out rows isn't known."
        return (
            "They were measured on different held-out rows: a difference may come from the rows"
            " and not from the model."
        )


def compare(sides: Sequence[Side]) -> Comparison:
    """Compare two or more versions."""
    return Comparison(
        names=tuple(side.name for side in sides),
        same_rows=_same_rows(sides),
        measures=tuple(
            found for entry in MEASURES if (found := _measure(sides, *entry)) is not None
        ),
        parameters=_lines([side.parameters for side in sides]),
        lineage=_lines([_flat(side.lineage) for side in sides]),
        features=_lines([_features(side.signature) for side in sides]),
    )


def _measure(sides: Sequence[Side], name: str, label: str, better: Better | None) -> Measure | None:
    tests = [side.metrics.get("test") or {} for side in sides]
    values = tuple(test.get(name) for test in tests)
    if all(value is None for value in values):
        return None
    intervals = tuple(_interval((test.get("intervals") or {}).get(name)) for test in tests)
    best = _best(values, better)
    own = intervals[best[0]] if best else None
    overlaps = tuple(
        None
        if own is None or other is None
        else own[LOW] <= other[HIGH] and other[LOW] <= own[HIGH]
        for other in intervals
    )
    return Measure(name, label, better, values, intervals, best, overlaps)


def _best(values: Sequence[float | None], better: Better | None) -> tuple[int, ...]:
    known = [value for value in values if value is not None]
    if better is None or len(set(known)) < 2:  # noqa: PLR2004 - one value is no contest
        return ()
    top = max(known) if better == "higher" else min(known)
    return tuple(place for place, value in enumerate(values) if value == top)


def _interval(data: Any) -> tuple[float, float] | None:
    if not isinstance(data, list | tuple) or len(data) != HIGH + 1 or None in data:
        return None
    return data[LOW], data[HIGH]


def _same_rows(sides: Sequence[Side]) -> bool | None:
    """Test rows are the same when the data set and everything that splits it are."""
    keys = []
    for side in sides:
        data, split = side.lineage.get("dataset") or {}, side.lineage.get("split") or {}
        if not data.get("sha256"):
            return None
        test = side.metrics.get("test") or {}
        cut = tuple(str(split.get(key)) for key in ("method", "seed", "test", "test_from"))
        keys.append((data["sha256"], data.get("label"), *cut, test.get("rows"), test.get("frauds")))
    return len(set(keys)) == 1


def _features(signature: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for feature in signature.get("features", ()):
        levels = feature.get("levels")
        more = f", {len(levels)} levels" if levels else ""
        found[feature["name"]] = f"{feature['kind']}{more}"
    return found


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one level of dotted names."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif name not in _SKIPPED_LINEAGE:
            found[name] = value
    return found


def _lines(tables: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """A line for each key, in the order in which the keys first come."""
    names = dict.fromkeys(name for table in tables for name in table)
    return tuple(Line(name, tuple(table.get(name) for table in tables)) for name in names)
