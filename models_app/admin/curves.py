"""A version's curves as plots, alone or over those of others."""

from collections.abc import Mapping, Sequence
from typing import Any

from aegisml.base.admin.plots import Axis, Line, Plot, Point, Request, plot

Curves = Mapping[str, Any]
_MIN_POINT = 2  # numbers that a point has


def of_version(metrics: Mapping[str, Any]) -> list[Plot]:
    """ROC, precision and recall, calibration, gain and learning, as far as they are there."""
    curves = metrics.get("curves") or {}
    test = metrics.get("test") or {}
    area, average = _said(test, "auroc"), _said(test, "average_precision")
    found = [
        _roc("roc", [Line("This version", _points(curves, "roc"), area)]),
        _pr("pr", [Line("This version", _points(curves, "pr"), average)], test.get("prevalence")),
        _calibration(curves),
        _gain(curves),
        *_learning(curves.get("learning") or []),
    ]
    return [drawn for drawn in found if drawn is not None]


def of_several(versions: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Plot]:
    """ROC and precision-recall curves of (name, metrics) over each other."""
    roc, pr = [], []
    for name, metrics in versions:
        curves, test = metrics.get("curves") or {}, metrics.get("test") or {}
        roc.append(Line(name, _points(curves, "roc"), _said(test, "auroc")))
        pr.append(Line(name, _points(curves, "pr"), _said(test, "average_precision")))
    found = [_roc("roc", roc), _pr("pr", pr, None)]
    return [drawn for drawn in found if drawn is not None]


def _roc(key: str, lines: list[Line]) -> Plot | None:
    return plot(
        Request(
            key, "ROC curve", Axis("false-positive rate"), Axis("recall"), lines,
            guide=((0, 0), (1, 1)),
        )
    )  # fmt: skip


def _pr(key: str, lines: list[Line], prevalence: Any) -> Plot | None:
    base = prevalence if isinstance(prevalence, int | float) else None
    return plot(
        Request(
            key, "Precision and recall", Axis("recall"), Axis("precision"), lines,
            guide=((0, base), (1, base)) if base is not None else None,
        )
    )  # fmt: skip


def _calibration(curves: Curves) -> Plot | None:
    points = _points(curves, "calibration")
    top = max((max(point) for point in points), default=1.0) or 1.0
    axes = Axis("mean score", high=top), Axis("share of fraud", high=top)
    lines = [Line("Held-out rows", points, dots=True)]
    return plot(
        Request(
            "calibration", "Calibration", *axes, lines, guide=((0, 0), (top, top)),
            guide_name="as it should be",
        )
    )  # fmt: skip


def _gain(curves: Curves) -> Plot | None:
    axes = Axis("share of rows looked at"), Axis("share of fraud found")
    lines = [Line("This version", _points(curves, "gain"))]
    return plot(Request("gain", "Gain", *axes, lines, guide=((0, 0), (1, 1))))


def _learning(rounds: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """A plot for each kind of number: "train_loss" and "validation_loss" share one."""
    lines: dict[str, dict[str, list[Point]]] = {}
    for row in rounds:
        for name, value in row.items():
            if name != "round" and isinstance(value, int | float):
                kind = name.rpartition("_")[2]
                lines.setdefault(kind, {}).setdefault(name, []).append((row["round"], value))
    found = []
    for kind, named in lines.items():
        drawn = [Line(name.replace("_", " "), points) for name, points in named.items()]
        axes = Axis("tree, epoch or step", None, None), Axis(_KINDS.get(kind, kind), None, None)
        title = "Learning" if len(lines) == 1 else f"Learning: {_KINDS.get(kind, kind)}"
        found.append(plot(Request(f"learning-{kind}", title, *axes, drawn)))
    return [drawn for drawn in found if drawn is not None]


_KINDS = {"ap": "average precision"}


def _points(curves: Curves, name: str) -> list[Point]:
    """The first two numbers of each point; those with a hole are left out."""
    return [
        (point[0], point[1])
        for point in curves.get(name) or []
        if len(point) >= _MIN_POINT and None not in point[:_MIN_POINT]
    ]


def _said(test: Mapping[str, Any], name: str) -> str:
    value = test.get(name)
    return f"{value:.4f}" if isinstance(value, int | float) else ""
