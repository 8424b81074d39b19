"""A compiled view as people read it: one line a feature."""

from dataclasses import dataclass
from typing import Any

from features.ml import durations
from features.ml.definition import (
    Aggregation,
    Default,
    Feature,
    Input,
    ResultKind,
    Sequence,
    Transform,
    View,
)

_NOUNS = {
    "count": "number of events", "sum": "sum of {of}", "mean": "mean of {of}",
    "std": "standard deviation of {of}", "min": "smallest {of}", "max": "largest {of}",
    "last": "newest {of}", "distinct": "number of different {of}",
    "label_rate": "share of events with a confirmed-risk label",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A feature: `shape` is aggregation, transform or sequence, `what` says in words what it
    computes, `window` and `lag` are spelled like 7d, `default` is what replaces null."""

    name: str
    shape: str
    kind: ResultKind
    what: str
    window: str | None = None
    lag: str | None = None
    default: Default = None

    @property
    def in_words(self) -> str:
        """All of it in one line: "mean of amount, over 7d until 7d before"."""
        if self.window is None:
            return self.what
        return f"{self.what}, over {self.window}" + (
            f" until {self.lag} before" if self.lag else ""
        )

    @property
    def default_text(self) -> str:
        return spelled(self.default)


def spelled(value: Any) -> str:
    """A feature's value for people: numbers with six digits, "-" for null."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    return str(value)


def lines(view: View) -> list[Line]:
    return [_line(feature, view) for feature in view.features]


def _line(feature: Feature, view: View) -> Line:
    if isinstance(feature, Aggregation):
        return Line(
            name=feature.name,
            shape="aggregation",
            kind=feature.kind,
            what=_aggregated(feature, view.inputs[feature.input]),
            window=durations.spell(feature.window),
            lag=durations.spell(feature.lag) if feature.lag else None,
            default=feature.empty,
        )
    if isinstance(feature, Transform):
        what = feature.expression.text
        return Line(feature.name, "transform", feature.kind, what, default=feature.default)
    window = durations.spell(feature.window)
    return Line(feature.name, "sequence", feature.kind, _listed(feature, view), window)


def _aggregated(feature: Aggregation, read: Input) -> str:
    noun = _NOUNS[feature.function].format(of=read.of.text if read.of else "")
    return f"{noun} where {read.where.text}" if read.where else noun


def _listed(feature: Sequence, view: View) -> str:
    parts = [view.inputs[i] for i in feature.inputs]
    read = ", ".join(part.of.text for part in parts if part.of)
    where = f" where {parts[0].where.text}" if parts[0].where else ""
    return f"newest {feature.length} of {read}{where}"
