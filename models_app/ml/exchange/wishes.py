"""What an importer says beside the file."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wishes:
    """What the importer says beside the file.

    `signature`: the features as JSON, needed where the file doesn't name its columns; `threshold`:
    scores from it up are reviewed; `fill`: the number that stands for a missing one; `output`:
    the name of the scores in an ONNX file that has several outputs.
    """

    signature: Any = None
    threshold: float | None = None
    fill: float | None = None
    output: str | None = None
