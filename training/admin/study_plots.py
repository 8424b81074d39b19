"""A study's pictures as numbers for SVGs: how its search went, and which parameters went along
with which value.

Each mark is a link to the trial's row in the table below, with a title in words, so that the
keyboard reaches what the mouse does, and nothing is told by color alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models_app.choices import Algorithm
from training.choices import TrialStatus
from training.models import Study, Trial
from training.standing import Standing

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 16, 40
MOST = 200  # marks in one picture: the newest of a history, the best of the parallel lines
_FEWEST = 2
_FAINTEST = 0.25


@dataclass(frozen=True)
class Mark:
    """A trial in a picture; `title` says it in words. `weight` is 1 for the best value and
    nearly 0 for the worst."""

    number: int
    title: str
    x: float = 0.0
    y: float = 0.0
    points: str = ""
    weight: float = 1.0
    kind: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Tick:
    place: float
    text: str


@dataclass(frozen=True)
class History:
    """Values by trial number, and the best so far as a line."""

    marks: list[Mark]
    line: str
    ticks: list[Tick]
    first: int
    last: int
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """A parameter, or the value, as an upright line at `x`."""

    name: str
    x: float
    ticks: list[Tick]
    anchor: str


@dataclass(frozen=True)
class Parallel:
    """The trials of one algorithm as lines through an axis for each parameter."""

    algorithm: str
    key: str
    axes: list[Axis]
    marks: list[Mark]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def history(standing: Standing) -> History | None:
    """None when there are too few trials with a value, or with one on the way."""
    shown = [t for t in standing.trials if t.shown_value is not None][-MOST:]
    if len(shown) < _FEWEST:
        return None
    values = [float(t.shown_value or 0.0) for t in shown]
    first, last = shown[0].number, shown[-1].number
    low, high = _apart(min(values), max(values))
    best = standing.best

    def place(number: int, value: float) -> tuple[float, float]:
        across = (number - first) / ((last - first) or 1)
        return _across(across), _up((value - low) / (high - low))

    marks = []
    for trial, value in zip(shown, values, strict=True):
        x, y = place(trial.number, value)
        is_best = best is not None and trial.pk == best.pk
        marks.append(Mark(trial.number, _title(trial), x, y, kind=trial.status, is_best=is_best))
    line = _steps([place(t.number, v) for t, v in _best_so_far(shown)], float(WIDTH - RIGHT))
    summary = f"{len(shown)} trials, values from {low:.4g} to {high:.4g}"
    if best is not None:
        summary += f"; the best is trial {best.number} with {best.value:.4f}"
    ticks = [Tick(_up(share), f"{low + share * (high - low):.3f}") for share in (0, 0.5, 1)]
    return History(marks, line, ticks, first, last, summary + ".")


def parallels(standing: Standing) -> list[Parallel]:
    """A picture for each algorithm with at least two trials that have a value."""
    found = (_parallel(standing.study, name, standing.trials) for name in standing.study.algorithms)
    return [picture for picture in found if picture is not None]


def _parallel(study: Study, algorithm: str, trials: Sequence[Trial]) -> Parallel | None:
    mine = [t for t in trials if t.algorithm == algorithm and t.status == TrialStatus.SUCCEEDED]
    best_first = sorted(mine, key=lambda t: (-(t.value or 0.0), t.number))[:MOST]
    if len(best_first) < _FEWEST:
        return None
    scales = [_Scale.of(name, wanted) for name, wanted in study.space[algorithm].items()]
    worst, best = best_first[-1].value or 0.0, best_first[0].value or 0.0
    scales.append(_Scale(study.get_metric_display(), *_apart(worst, best)))
    places = [_across(i / (len(scales) - 1)) for i in range(len(scales))]
    axes = [
        Axis(scale.name, x, scale.ticks(), _anchor(i, len(scales)))
        for i, (scale, x) in enumerate(zip(scales, places, strict=True))
    ]
    marks = [
        _line(trial, scales, places, weight=1 - rank / len(best_first))
        for rank, trial in enumerate(best_first)
    ]
    label, first = Algorithm(algorithm).label, best_first[0]
    summary = f"{len(marks)} trials of {label}; the best is trial {first.number}: {_said(first)}."
    return Parallel(label, algorithm, axes, marks[::-1], summary)  # the best is drawn last


def _line(
    trial: Trial, scales: Sequence["_Scale"], places: Sequence[float], *, weight: float
) -> Mark:
    values = [*(trial.parameters.get(scale.name) for scale in scales[:-1]), trial.value]
    heights = [_up(scale.share(value)) for scale, value in zip(scales, values, strict=True)]
    points = " ".join(f"{x:g},{y:g}" for x, y in zip(places, heights, strict=True))
    faded = round(max(_FAINTEST, weight), 2)
    return Mark(trial.number, _title(trial), points=points, weight=faded, is_best=weight == 1)


@dataclass(frozen=True)
class _Scale:
    """From a parameter's values to shares of its axis."""

    name: str
    low: float
    high: float
    by_magnitude: bool = False
    choices: tuple[Any, ...] = ()

    @classmethod
    def of(cls, name: str, wanted: Mapping[str, Any]) -> "_Scale":
        if "choices" in wanted:
            return cls(name, 0, len(wanted["choices"]) - 1, choices=tuple(wanted["choices"]))
        return cls(name, wanted["low"], wanted["high"], bool(wanted.get("log")))

    def share(self, value: Any) -> float:
        if self.choices:
            return self.choices.index(value) / self.high if value in self.choices else 0.0
        if value is None:
            return 0.0
        low, high, at = (self._scaled(v) for v in (self.low, self.high, float(value)))
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def ticks(self) -> list[Tick]:
        if self.choices:
            return [Tick(_up(self.share(v)), str(v)) for v in self.choices]
        return [Tick(_up(0), _short(self.low)), Tick(_up(1), _short(self.high))]

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.by_magnitude else value


def _best_so_far(trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """The trials that were better than all before, with their values."""
    found: list[tuple[Trial, float]] = []
    for trial in trials:
        if trial.value is not None and (not found or trial.value > found[-1][1]):
            found.append((trial, trial.value))
    return found


def _steps(corners: Sequence[tuple[float, float]], end: float) -> str:
    """A stair through the corners, on to the right end."""
    spots: list[tuple[float, float]] = []
    for x, y in corners:
        if spots:
            spots.append((x, spots[-1][1]))
        spots.append((x, y))
    if spots:
        spots.append((end, spots[-1][1]))
    return " ".join(f"{x:g},{y:g}" for x, y in spots)


def _title(trial: Trial) -> str:
    value = trial.shown_value
    shown = "" if value is None else f" {value:.4f}"
    status = "" if trial.status == TrialStatus.SUCCEEDED else f" ({trial.get_status_display()})"
    return f"Trial {trial.number}{status}:{shown}; {_said(trial)}"


def _said(trial: Trial) -> str:
    return ", ".join(f"{name} {_short(v)}" for name, v in sorted(trial.parameters.items()))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _apart(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _across(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _up(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _anchor(place: int, count: int) -> str:
    return "start" if place == 0 else "end" if place == count - 1 else "middle"
