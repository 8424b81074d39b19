"""Metrics and lineage that a file brings: shapes that pages and reports can rely on.

Every key may be missing, and keys that nobody here knows are kept.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models_app.ml.exchange.errors import Refused

Number = Annotated[float, Field(allow_inf_nan=False)]
Points = Annotated[list[list[Number | None]], Field(max_length=2000)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Confusion(Shape):
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0


class Segment(Shape):
    column: str
    value: Any
    rows: int | None = None
    frauds: int | None = None
    auroc: Number | None = None
    average_precision: Number | None = None
    recall: Number | None = None


class Typology(Shape):
    value: Any
    frauds: int | None = None
    recall: Number | None = None


class AtAlerts(Shape):
    alerts_per_day: Number | None = None
    recall: Number | None = None


class Measured(Shape):
    auroc: Number | None = None
    average_precision: Number | None = None
    precision: Number | None = None
    recall: Number | None = None
    f1: Number | None = None
    threshold: Number | None = None
    brier: Number | None = None
    ece: Number | None = None
    prevalence: Number | None = None
    card_precision_at_100: Number | None = None
    value_weighted_recall: Number | None = None
    rows: int | None = None
    frauds: int | None = None
    confusion_matrix: Confusion | None = None
    intervals: dict[str, list[Number | None] | None] = {}
    precision_at: dict[str, Number | None] | None = None
    recall_at_alerts_per_day: AtAlerts | None = None
    segments: list[Segment] | None = None
    typologies: list[Typology] | None = None


class Learning(Shape):
    round: int


class Curves(Shape):
    roc: Points | None = None
    pr: Points | None = None
    calibration: Points | None = None
    gain: Points | None = None
    learning: list[Learning] | None = None


class Calibrated(Shape):
    method: str | None = None
    ece_before: Number | None = None
    ece_after: Number | None = None


class Metrics(Shape):
    test: Measured | None = None
    validation: Measured | None = None
    curves: Curves | None = None
    importance: list[tuple[str, Number]] | None = None
    calibration: Calibrated | None = None
    rounds: int | None = None
    parity_max_difference: Number | None = None
    seconds: dict[str, Number] | None = None


class Dataset(Shape):
    dropped: dict[str, Any] = {}
    sha256: str | None = None
    rows: int | None = None
    frauds: int | None = None


class Split(Shape):
    method: str | None = None
    gap_days: Number | None = None
    overrides: dict[str, Any] = {}


class Lineage(Shape):
    dataset: Dataset | None = None
    split: Split | None = None
    libraries: dict[str, str] = {}
    imported: dict[str, Any] | None = None


class Bins(Shape):
    counts: list[int]
    edges: list[Number]
    levels: list[str]


class Profile(Shape):
    rows: int
    features: dict[str, Bins]
    score: Bins


def check(*, metrics: Mapping[str, Any], lineage: Mapping[str, Any]) -> None:
    """Raises `Refused` naming the key whose value has another shape than ours."""
    _check(Metrics, metrics, "metrics")
    _check(Lineage, lineage, "lineage")


def check_profile(profile: Mapping[str, Any]) -> None:
    """Raises `Refused` unless drift can be measured against it."""
    _check(Profile, profile, "profile.json")


def _check(shape: type[Shape], data: Mapping[str, Any], name: str) -> None:
    try:
        shape.model_validate_json(orjson.dumps(data))  # JSON's rules for what is a list
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (name, *first["loc"]))
        raise Refused(f"{place[:200]}: {first['msg']}") from None
