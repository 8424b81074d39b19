"""What reading a feature set needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from features.models import FeatureSet
from features.online.live import Target


@dataclass(frozen=True)
class Part:
    """The features that a set takes from one view version."""

    target: Target
    names: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All that reading a feature set needs: no database is asked any more."""

    feature_set: str
    parts: tuple[Part, ...]
    version_of: Mapping[str, str]  # "view@v2" by the feature's name, in the set's order
    max_exact: int

    @classmethod
    def of(cls, feature_set: FeatureSet) -> "Plan":
        members = feature_set.members.select_related("version__view__stream")
        parts = tuple(
            Part(target=Target.of(member.version), names=tuple(member.names)) for member in members
        )
        return cls(
            feature_set=str(feature_set),
            parts=parts,
            version_of={name: part.target.label for part in parts for name in part.names},
            max_exact=settings.FEATURES.max_exact_events,
        )
