"""Shapes of entities, feature views and feature sets on the wire."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from features.choices import VersionStatus
from features.ml import listing
from features.models import Entity, FeatureSet, FeatureView, FeatureViewVersion
from features.models.events import NAME_RULE
from features.services import usage


class NameField(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=60, validators=[NAME_RULE], **kwargs)


class EntitySerializer(serializers.ModelSerializer[Entity]):
    class Meta:
        model = Entity
        fields = ("name", "description", "created_at")


class EntityWriteSerializer(StrictSerializer):
    name = NameField()
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class PreviewRequestSerializer(StrictSerializer):
    stream = serializers.CharField(max_length=60)
    entity = serializers.CharField(
        max_length=60, required=False, allow_null=True, default=None,
        help_text="null: features of the event alone",
    )  # fmt: skip
    definition = serializers.DictField(
        help_text='{"ttl", "where", "features": [{"name", and aggregate, expression or sequence}]}'
    )


class ViewWriteSerializer(PreviewRequestSerializer):
    name = NameField()
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    note = serializers.CharField(
        required=False, allow_blank=True, max_length=400, help_text="what changed, and why"
    )


class ViewSerializer(serializers.ModelSerializer[FeatureView]):
    """Needs `versions` prefetched, newest first."""

    stream = serializers.CharField(source="stream.name", read_only=True)
    entity = serializers.CharField(source="entity.name", default=None, read_only=True)
    promoted_version = serializers.SerializerMethodField()
    newest_version = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = FeatureView
        fields = (
            "name", "description", "stream", "entity", "promoted_version", "newest_version",
            "created_by", "created_at",
        )  # fmt: skip

    def get_promoted_version(self, view: FeatureView) -> int | None:
        promoted = (v for v in view.versions.all() if v.status == VersionStatus.PROMOTED)
        return next((version.number for version in promoted), None)

    def get_newest_version(self, view: FeatureView) -> int | None:
        return next((version.number for version in view.versions.all()), None)


class ViewVersionSerializer(serializers.ModelSerializer[FeatureViewVersion]):
    view = serializers.CharField(source="view.name", read_only=True)
    version = serializers.IntegerField(source="number", read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = FeatureViewVersion
        fields = (
            "id", "view", "version", "status", "online", "note", "created_by", "created_at",
            "promoted_at",
        )  # fmt: skip


class LineSerializer(serializers.Serializer[listing.Line]):
    """One feature of a version."""

    name = serializers.CharField()
    shape = serializers.ChoiceField(choices=["aggregation", "transform", "sequence"])
    kind = serializers.ChoiceField(choices=["numeric", "boolean", "category", "sequence"])
    what = serializers.CharField(help_text="what it computes, in words")
    window = serializers.CharField(allow_null=True)
    lag = serializers.CharField(allow_null=True)
    default = serializers.JSONField(allow_null=True, help_text="what stands for null")


class VersionDetailSerializer(ViewVersionSerializer):
    features = serializers.SerializerMethodField()
    pinned_by = serializers.SerializerMethodField(help_text="feature sets that take from it")

    class Meta:
        model = FeatureViewVersion
        fields = (*ViewVersionSerializer.Meta.fields, "definition", "features", "pinned_by")

    @extend_schema_field(LineSerializer(many=True))
    def get_features(self, version: FeatureViewVersion) -> list[dict[str, Any]]:
        return [asdict(line) for line in listing.lines(version.compiled)]

    def get_pinned_by(self, version: FeatureViewVersion) -> list[str]:
        return [str(found) for found in usage.pinning_sets(version)]


class ViewDetailSerializer(ViewSerializer):
    versions = ViewVersionSerializer(many=True, read_only=True)

    class Meta:
        model = FeatureView
        fields = (*ViewSerializer.Meta.fields, "versions")


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=400)


class PreviewRowSerializer(serializers.Serializer[Any]):
    event_id = serializers.CharField()
    event_time = serializers.DateTimeField()
    key = serializers.CharField(allow_null=True, help_text="of the entity")
    values = serializers.DictField(child=serializers.JSONField(allow_null=True))


class PreviewSerializer(serializers.Serializer[Any]):
    names = serializers.ListField(child=serializers.CharField())
    rows = PreviewRowSerializer(many=True)
    null_shares = serializers.DictField(child=serializers.FloatField())
    events_read = serializers.IntegerField(help_text="the values look back over these only")
    message = serializers.CharField(help_text="why there is no row, or what the values lack")


class MemberSerializer(StrictSerializer):
    view = serializers.CharField(
        max_length=70, help_text="name@v2, or a name alone for its promoted version"
    )
    features = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, allow_null=True, default=None,
        help_text="in the model's order; null takes all",
    )  # fmt: skip


class SetWriteSerializer(StrictSerializer):
    name = NameField()
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    members = MemberSerializer(many=True)


class PinnedSerializer(serializers.Serializer[Any]):
    view = serializers.CharField(source="version")
    features = serializers.ListField(source="names", child=serializers.CharField())


class SetSerializer(serializers.ModelSerializer[FeatureSet]):
    """Needs `members__version__view` prefetched."""

    version = serializers.IntegerField(source="number", read_only=True)
    stream = serializers.CharField(source="stream.name", read_only=True)
    members = PinnedSerializer(many=True, read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = FeatureSet
        fields = (
            "id", "name", "version", "description", "stream", "members", "created_by", "created_at",
        )  # fmt: skip


class NodeSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()


class LineageSerializer(serializers.Serializer[Any]):
    nodes = NodeSerializer(many=True)
    edges = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2),
        help_text="pairs of node ids, from what is used to what uses it",
    )
