"""Which algorithm a study tries next, when it searches among several.

Each is tried once with its defaults, the quick ones first. From then on the algorithms are
ranked by their best value, and their shares of the computing time go down by half from rank to
rank: half of it for the best, a quarter for the second, and so on. None is given up for a bad
start, and little is spent on it. An algorithm whose first trial gave no value is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# by how long they take on the same rows
QUICKEST_FIRST = (
    "logistic_regression", "xgboost", "isolation_forest", "random_forest", "neural_network", "lstm",
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """A trial so far. `value` is None without one, `seconds` what it took."""

    algorithm: str
    is_open: bool
    value: float | None = None
    seconds: float = 0.0


def next_algorithm(algorithms: Sequence[str], tried: Sequence[Tried]) -> str | None:
    """The algorithm of the next trial; None when there is none worth trying. A single one always
    is."""
    if len(algorithms) == 1:
        return algorithms[0]
    untried = set(algorithms) - {trial.algorithm for trial in tried}
    if untried:
        return min(untried, key=QUICKEST_FIRST.index)
    by_best = {
        name: best for name in algorithms if (best := _best(name, tried)) is not None
    }  # fmt: skip
    if not by_best:
        # the first ones are still at it: one more of what has fewest
        running = [name for name in algorithms if any(_open(name, tried))]
        return min(running, key=lambda name: len(_open(name, tried)), default=None)
    ranked = sorted(by_best, key=lambda name: (-by_best[name], QUICKEST_FIRST.index(name)))
    return min(ranked, key=lambda name: _spent(name, tried) * 2 ** ranked.index(name))


def _best(name: str, tried: Sequence[Tried]) -> float | None:
    values = [t.value for t in tried if t.algorithm == name and t.value is not None]
    return max(values, default=None)


def _open(name: str, tried: Sequence[Tried]) -> list[Tried]:
    return [trial for trial in tried if trial.algorithm == name and trial.is_open]


def _spent(name: str, tried: Sequence[Tried]) -> float:
    """Seconds, counting what still goes on like the mean of what ended."""
    ended = [t.seconds for t in tried if t.algorithm == name and not t.is_open]
    mean = sum(ended) / len(ended) if ended else 0.0
    return sum(ended) + mean * len(_open(name, tried))
