"""A learning curve as the points of SVG lines, one chart a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 600, 160
# people read average precision first
_FIRST = ("validation_ap", "validation_loss", "train_loss")


@dataclass(frozen=True)
class Drawn:
    """A metric's line in a box of WIDTH by HEIGHT, and the numbers at its ends."""

    name: str
    points: str
    first_round: int
    last_round: int
    low: float
    high: float
    last: float
    width: int = WIDTH
    height: int = HEIGHT


def drawn(points: Sequence[Mapping[str, Any]]) -> list[Drawn]:
    """A chart for each metric that has at least two rounds."""
    names = {name: None for point in points for name in point if name != "round"}
    ordered = sorted(names, key=lambda n: (_FIRST.index(n) if n in _FIRST else len(_FIRST), n))
    lines = {
        name: [(point["round"], point[name]) for point in points if name in point]
        for name in ordered
    }
    return [_line(name, line) for name, line in lines.items() if len(line) > 1]


def _line(name: str, line: Sequence[tuple[int, float]]) -> Drawn:
    rounds = [point[0] for point in line]
    values = [point[1] for point in line]
    low, high = min(values), max(values)
    across = (rounds[-1] - rounds[0]) or 1
    up = (high - low) or 1
    points = " ".join(
        f"{(at - rounds[0]) / across * WIDTH:.1f},{HEIGHT - (value - low) / up * HEIGHT:.1f}"
        for at, value in line
    )
    shown = name.replace("_", " ").replace(" ap", " average precision")
    return Drawn(shown, points, rounds[0], rounds[-1], low, high, values[-1])
