"""Which versions to compare, and how they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from aegisml.base.errors import Invalid
from models_app.ml import compare
from models_app.models import ModelVersion, RegisteredModel

FEWEST, MOST = 2, 6
FIELD = "versions"
_MAX_DIGITS = 9


@dataclass(frozen=True)
class Compared:
    """The versions in the order that was asked for, and their comparison."""

    versions: tuple[ModelVersion, ...]
    comparison: compare.Comparison


def asked_for(text: str, *, model: RegisteredModel | None = None) -> tuple[ModelVersion, ...]:
    """The versions in "1,3,other@2": a number is one of `model`.

    Raises `Invalid` naming "versions" unless it is 2 to 6 different ones, `NotFound` when one
    isn't there.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not FEWEST <= len(words) <= MOST:
        raise Invalid.field(FIELD, f"must name {FEWEST} to {MOST} versions, such as 1,3,other@2")
    found = tuple(_version(word, model) for word in words)
    if len({version.pk for version in found}) < len(found):
        raise Invalid.field(FIELD, "names a version twice")
    return found


def compared(versions: Sequence[ModelVersion]) -> Compared:
    """Compare these versions."""
    sides = [
        compare.Side(str(v), v.metrics, v.parameters, v.lineage, v.signature) for v in versions
    ]
    return Compared(tuple(versions), compare.compare(sides))


def _version(word: str, model: RegisteredModel | None) -> ModelVersion:
    number = word.removeprefix("v")
    if model is not None and number.isdecimal() and number.isascii() and len(number) <= _MAX_DIGITS:
        return (
            model.versions.select_related("model", "created_by", "feature_set")
            .prefetch_related("aliases")
            .numbered(int(number))
        )
    rows = ModelVersion.objects.select_related("model", "created_by", "feature_set")
    return rows.prefetch_related("aliases").named(word, field=FIELD)
