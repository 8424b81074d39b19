"""Why a training ends early."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class TrainingError(Exception):
    """The data or the request can't be trained on; `field` names the column or parameter."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Evidence:
    """One reason to think that the model saw what it can't know when it serves.

    `kind` is the override that lets it pass, `value` the number that gave it away.
    """

    kind: str
    column: str
    text: str
    value: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class LeakSuspected(TrainingError):
    """The data look as if the answer were in the question; `evidence` says where."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        super().__init__("leak", " ".join(found.text for found in evidence))
        self.evidence = tuple(evidence)


class Cancelled(Exception):
    """Somebody asked the job to stop, and it did."""
