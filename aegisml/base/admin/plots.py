"""Lines in a box with axes, as numbers for an SVG: `aegisml/plot.html` draws them.

Nothing of a plot is told by color alone: lines differ in dashes too, and the description says
in words what it shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40
TICKS = 5
STYLES = 6  # of lines, in the style sheet

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through `points`; `note` stands beside its name in the legend."""

    name: str
    points: Sequence[Point]
    note: str = ""
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """What it measures, and from where to where; None takes the end from the points."""

    title: str
    low: float | None = 0.0
    high: float | None = 1.0


@dataclass(frozen=True)
class Drawn:
    """A line in the picture: `path` is for a polyline, `circles` are places of dots."""

    name: str
    note: str
    style: int
    path: str
    circles: list[Point]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at `place` in the picture."""

    place: float
    text: str


@dataclass(frozen=True)
class Plot:
    """A picture of WIDTH by HEIGHT; `guide` are the ends of a line to compare with."""

    key: str  # unique on its page
    title: str
    description: str
    across: str
    up: str
    lines: list[Drawn]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    guide: tuple[Point, Point] | None = None
    guide_name: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Request:
    """What to draw: `guide` is a line from one point to another, in the axes' units."""

    key: str
    title: str
    across: Axis
    up: Axis
    lines: Sequence[Line]
    description: str = ""
    guide: tuple[Point, Point] | None = None
    guide_name: str = "by chance"


def plot(wanted: Request) -> Plot | None:
    """The picture; None when no line has two points."""
    lines = [line for line in wanted.lines if len(line.points) > 1]
    if not lines:
        return None
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_ends, y_ends = _ends(wanted.across, xs), _ends(wanted.up, ys)

    def place(point: Point) -> Point:
        x = _share(point[0], x_ends) * (WIDTH - LEFT - RIGHT) + LEFT
        y = (1 - _share(point[1], y_ends)) * (HEIGHT - TOP - BOTTOM) + TOP
        return round(x, 1), round(y, 1)

    return Plot(
        key=wanted.key,
        title=wanted.title,
        description=wanted.description or _described(wanted, lines),
        across=wanted.across.title,
        up=wanted.up.title,
        lines=[_drawn(line, i % STYLES, [place(p) for p in line.points])
               for i, line in enumerate(lines)],
        x_ticks=[Tick(place((value, y_ends[0]))[0], _text(value)) for value in _ticks(x_ends)],
        y_ticks=[Tick(place((x_ends[0], value))[1], _text(value)) for value in _ticks(y_ends)],
        guide=(place(wanted.guide[0]), place(wanted.guide[1])) if wanted.guide else None,
        guide_name=wanted.guide_name,
    )  # fmt: skip


def _drawn(line: Line, style: int, places: Sequence[Point]) -> Drawn:
    path = " ".join(f"{x:g},{y:g}" for x, y in places)
    return Drawn(line.name, line.note, style, path, list(places) if line.dots else [])


def _described(wanted: Request, lines: Sequence[Line]) -> str:
    parts = [
        f"{line.name}: from {_text(line.points[0][1])} at {_text(line.points[0][0])}"
        f" to {_text(line.points[-1][1])} at {_text(line.points[-1][0])}"
        for line in lines
    ]
    return f"{wanted.up.title} by {wanted.across.title}. {'; '.join(parts)}."


def _ends(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if high > low:
        return low, high
    return low - 0.5, low + 0.5  # all alike: a flat line in the middle


def _share(value: float, ends: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0])))


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Round numbers between the ends: steps of 1, 2 or 5 times a power of ten."""
    low, high = ends
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004
