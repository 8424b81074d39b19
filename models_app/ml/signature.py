"""A model's signature, and the one code that turns values into its input matrix.

Training encodes whole columns, serving encodes rows; both follow the same
`Feature` list, and a test holds that they agree to the bit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
FLOAT32_MAX = float(np.finfo(np.float32).max)
_SHOWN_LEVELS = 20


class PayloadError(ValueError):
    """Values don't fit the signature; `problems` are (feature, sentence) pairs."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Feature:
    """One input. A category is *open* when training saw more levels than it keeps:
    unknown ones then count as "other"; in a closed one they are an error. A sequence has up to
    `steps` steps, oldest first, of `size` numbers each."""

    name: str
    kind: Literal["numeric", "boolean", "category", "sequence"]
    levels: tuple[str, ...] = ()
    open: bool = False
    steps: int = 0
    size: int = 0
    positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {level: i for i, level in enumerate(self.levels)}
        object.__setattr__(self, "positions", positions)

    @property
    def width(self) -> int:
        """Columns of the matrix that this feature fills."""
        if self.kind == "category":
            return len(self.levels) + self.open
        return self.steps * self.size if self.kind == "sequence" else 1

    @property
    def columns(self) -> list[str]:
        """Their names; a step's place is counted back from the newest, which is 0."""
        if self.kind == "category":
            names = [f"{self.name}={level}" for level in self.levels]
            return [*names, f"{self.name}=<other>"] if self.open else names
        if self.kind == "sequence":
            back = range(self.steps - 1, -1, -1)
            return [f"{self.name}[{step}].{i}" for step in back for i in range(self.size)]
        return [self.name]

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind == "category":
            shown |= {"levels": self.levels, "open": self.open}
        if self.kind == "sequence":
            shown |= {"steps": self.steps, "size": self.size}
        return shown


class Signature:
    """The inputs of a model, in the order of its matrix."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.names = frozenset(feature.name for feature in features)
        if len(self.names) != len(self.features):
            raise ValueError("feature names must be unique")
        self.width = sum(feature.width for feature in features)
        self._plan: list[tuple[Feature, int]] = []
        start = 0
        for feature in self.features:
            self._plan.append((feature, start))
            start += feature.width

    @property
    def columns(self) -> list[str]:
        """Names of the matrix's columns."""
        return [column for feature in self.features for column in feature.columns]

    def to_json(self) -> dict[str, Any]:
        return {"features": [feature.to_json() for feature in self.features]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Signature":
        """Raises KeyError or TypeError for anything that `to_json` didn't make."""
        return cls(
            [Feature(**{**row, "levels": tuple(row.get("levels", ()))}) for row in data["features"]]
        )

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Rows of named values as a float32 matrix (len(rows), width).

        None is a missing value: NaN for a number, no level for a category. A
        sequence is a list of lists of numbers; steps that it hasn't got are NaN.
        Raises `PayloadError` naming each unknown, missing or wrong feature;
        with more than one row, as "3.amount".
        """
        matrix = np.zeros((len(rows), self.width), dtype=np.float32)
        problems: list[tuple[str, str]] = []
        for i, row in enumerate(rows):
            found = self._encode_row(row, matrix[i])
            if found:
                prefix = f"{i}." if len(rows) > 1 else ""
                problems += [(prefix + name, text) for name, text in found]
        if problems:
            raise PayloadError(problems)
        return matrix

    def _encode_row(
        self, row: Mapping[str, Any], out: npt.NDArray[np.float32]
    ) -> list[tuple[str, str]]:
        problems = []
        if row.keys() != self.names:
            problems += [(str(name)[:100], "unknown feature") for name in row.keys() - self.names]
            problems += [(name, "missing feature") for name in self.names - row.keys()]
        for feature, start in self._plan:
            value = row.get(feature.name)
            if value is None:
                if feature.kind != "category":
                    out[start : start + feature.width] = np.nan
                continue
            text = _encode_value(feature, value, start, out)
            if text:
                problems.append((feature.name, text))
        return sorted(problems)

    def encode_columns(self, columns: Mapping[str, npt.NDArray[Any]]) -> Matrix:
        """Whole columns as a float32 matrix (rows, width); training's door.

        Numeric columns are float arrays with NaN for missing; category columns
        are object arrays of text with None for missing; sequences are float
        arrays (rows, steps, size), the newest step last, with NaN for missing.
        """
        rows = len(next(iter(columns.values())))
        matrix = np.zeros((rows, self.width), dtype=np.float32)
        for feature, start in self._plan:
            values = columns[feature.name]
            if feature.kind != "category":
                matrix[:, start : start + feature.width] = values.reshape(rows, feature.width)
                continue
            other = len(feature.levels) if feature.open else -1
            codes = np.array(
                [-1 if v is None else feature.positions.get(v, other) for v in values],
                dtype=np.intp,
            )
            known = np.flatnonzero(codes >= 0)
            matrix[known, start + codes[known]] = 1
        return matrix


def _encode_value(
    feature: Feature, value: Any, start: int, out: npt.NDArray[np.float32]
) -> str | None:
    """Write one value at `start`; the sentence that says what is wrong, or None."""
    if feature.kind == "numeric":
        if type(value) is not float and type(value) is not int:
            return f"must be a number or null, not {_kind(value)}"
        if not -FLOAT32_MAX <= value <= FLOAT32_MAX:  # NaN fails this too
            return "must be a finite number"
        out[start] = value
        return None
    if feature.kind == "boolean":
        if type(value) is not bool and value not in (0, 1):
            return f"must be true, false or null, not {_kind(value)}"
        out[start] = value
        return None
    if feature.kind == "sequence":
        return _encode_sequence(feature, value, start, out)
    return _encode_level(feature, value, start, out)


def _encode_sequence(
    feature: Feature, value: Any, start: int, out: npt.NDArray[np.float32]
) -> str | None:
    if type(value) is not list or len(value) > feature.steps:
        return f"must be a list of at most {feature.steps} steps"
    if any(type(step) is not list or len(step) != feature.size for step in value):
        return f"must have {feature.size} numbers in each step"
    numbers = [number for step in value for number in step]
    wrong = [n for n in numbers if n is not None and not _is_number(n)]
    if wrong:
        return f"must hold finite numbers or null, not {_kind(wrong[0])}"
    end = start + feature.width
    out[start : end - len(numbers)] = np.nan
    out[end - len(numbers) : end] = [np.nan if n is None else n for n in numbers]
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -FLOAT32_MAX <= value <= FLOAT32_MAX


def _encode_level(
    feature: Feature, value: Any, start: int, out: npt.NDArray[np.float32]
) -> str | None:
    if type(value) is not str:
        return f"must be text or null, not {_kind(value)}"
    position = feature.positions.get(value)
    if position is None:
        if not feature.open:
            shown = ", ".join(feature.levels[:_SHOWN_LEVELS])
            return f"unknown category {value[:50]!r}; known: {shown}"
        position = len(feature.levels)
    out[start + position] = 1
    return None


def _kind(value: Any) -> str:
    names = {bool: "a boolean", str: "text", dict: "an object", list: "a list"}
    if isinstance(value, float) and not math.isfinite(value):
        return "a non-finite number"
    return names.get(type(value), type(value).__name__)
