"""The learning curve as the points of an SVG line."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 160


@dataclass(frozen=True)
class Drawn:
    """A line in a box of WIDTH by HEIGHT, and the numbers at its ends."""

    points: str
    first_round: int
    last_round: int
    low: float
    high: float
    last: float
    width: int = WIDTH
    height: int = HEIGHT


def drawn(curve: Sequence[tuple[int, float]]) -> Drawn | None:
    """None when there are too few points for a line."""
    if len(curve) < 2:  # noqa: PLR2004 - two points make a line
        return None
    rounds = [point[0] for point in curve]
    values = [point[1] for point in curve]
    low, high = min(values), max(values)
    across = (rounds[-1] - rounds[0]) or 1
    up = (high - low) or 1
    points = " ".join(
        f"{(at - rounds[0]) / across * WIDTH:.1f},{HEIGHT - (value - low) / up * HEIGHT:.1f}"
        for at, value in zip(rounds, values, strict=True)
    )
    return Drawn(points, rounds[0], rounds[-1], low, high, values[-1])
