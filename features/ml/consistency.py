"""How far served feature values are from the same values computed again."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 3
TOLERANCE = 1e-9  # relative, and in absolute terms for numbers around 0
Pair = tuple[Any, Any]  # the served value, the one computed again


@dataclass(frozen=True)
class Agreement:
    """One feature over many predictions.

    Of `compared` pairs `mismatch` differ, `missing` were served as null where there is a value,
    `extra` were served with a value where there is none. `smape` is sum|a - b| / sum(|a| + |b|)
    and `max_difference` the largest |a - b|, both over the pairs of numbers; 0 without any.
    """

    compared: int
    mismatch: int
    missing: int
    extra: int
    smape: float
    max_difference: float

    @property
    def disagreeing(self) -> int:
        return self.mismatch + self.missing + self.extra


@dataclass(frozen=True)
class Example:
    """A disagreement, and whose it is."""

    who: str
    served: Any
    again: Any


@dataclass
class Tally:
    """Predictions compared one by one: `compared` of them, `disagreeing` in any feature."""

    compared: int = 0
    disagreeing: int = 0
    _pairs: dict[str, list[Pair]] = field(default_factory=dict)
    _examples: dict[str, list[Example]] = field(default_factory=dict)

    def add(self, who: str, served: Mapping[str, Any], again: Mapping[str, Any]) -> None:
        """The values of one prediction by feature; what `again` lacks is null there."""
        self.compared += 1
        wrong = False
        for name, value in served.items():
            self._pairs.setdefault(name, []).append((value, again.get(name)))
            if not agree(value, again.get(name)):
                wrong = True
                self._examples.setdefault(name, []).append(Example(who, value, again.get(name)))
        self.disagreeing += wrong

    def examples(self, name: str) -> list[Example]:
        """The first few disagreements of a feature."""
        return self._examples.get(name, [])[:EXAMPLES]

    def agreements(self) -> list[tuple[str, Agreement]]:
        """Each feature with its agreement, the worst first."""
        found = [(name, agreement(pairs)) for name, pairs in self._pairs.items()]
        return sorted(
            found, key=lambda one: (-one[1].disagreeing / one[1].compared, -one[1].smape, one[0])
        )


def agree(served: Any, again: Any) -> bool:
    """Whether two values of a feature are the same: numbers and booleans within the tolerance,
    texts by equality, lists part by part."""
    a, b = _plain(served), _plain(again)
    if a is None or b is None:
        return a is None and b is None
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(agree, a, b))
    return type(a) is type(b) and bool(a == b)


def agreement(pairs: Iterable[Pair]) -> Agreement:
    """What `pairs` of one feature amount to."""
    plain = [(_plain(a), _plain(b)) for a, b in pairs]
    whole = [(a, b) for a, b in plain if a is not None and b is not None]
    numbers = [(a, b) for a, b in whole if isinstance(a, float) and isinstance(b, float)]
    return Agreement(
        compared=len(plain),
        mismatch=sum(not agree(a, b) for a, b in whole),
        missing=sum(a is None and b is not None for a, b in plain),
        extra=sum(a is not None and b is None for a, b in plain),
        smape=_smape(numbers),
        max_difference=max((min(abs(a - b), sys.float_info.max) for a, b in numbers), default=0.0),
    )


def _smape(numbers: Sequence[tuple[float, float]]) -> float:
    # halved until the largest is below 1, which is exact: sums of the numbers may overflow
    largest = max((max(abs(a), abs(b)) for a, b in numbers), default=0.0)
    if not largest:
        return 0.0
    power = -math.frexp(largest)[1]
    small = [(math.ldexp(a, power), math.ldexp(b, power)) for a, b in numbers]
    return math.fsum(abs(a - b) for a, b in small) / math.fsum(abs(a) + abs(b) for a, b in small)


def _plain(value: Any) -> Any:
    """Numbers and booleans as float, what is no number as null; the rest as it is."""
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return value
