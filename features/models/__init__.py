"""The feature store's rows."""

from features.models.definitions import (
    Entity,
    FeatureSet,
    FeatureSetMember,
    FeatureView,
    FeatureViewVersion,
    Numbering,
)
from features.models.events import (
    EventKey,
    EventSegment,
    HotEvent,
    IngestFile,
    QuarantinedRow,
    RuleCount,
    Stream,
)
from features.models.labels import Label, PredictionEvent
from features.models.runs import ConsistencyRun, FeatureProfile, HistoricalJob, MaterializeRun

__all__ = [
    "ConsistencyRun", "Entity", "EventKey", "EventSegment", "FeatureProfile", "FeatureSet",
    "FeatureSetMember", "FeatureView", "FeatureViewVersion", "HistoricalJob", "HotEvent",
    "IngestFile", "Label", "MaterializeRun", "Numbering", "PredictionEvent", "QuarantinedRow",
    "RuleCount", "Stream",
]  # fmt: skip
