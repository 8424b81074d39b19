"""From a score to a decision."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Decision = Literal["approve", "review", "block"]


@dataclass(frozen=True)
class Policy:
    """Scores from `review` up go to an analyst, from `block` up are stopped.

    Both are probabilities; `block` is None when validation showed no threshold
    precise enough to stop payments without a person.
    """

    review: float
    block: float | None
    rule: str

    def __post_init__(self) -> None:
        if not 0 <= self.review <= 1:
            raise ValueError("review must lie in [0, 1]")
        if self.block is not None and not self.review <= self.block <= 1:
            raise ValueError("block must lie in [review, 1]")

    def decide(self, score: float) -> Decision:
        if self.block is not None and score >= self.block:
            return "block"
        return "review" if score >= self.review else "approve"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
