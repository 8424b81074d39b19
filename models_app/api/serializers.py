"""Shapes of models and versions on the wire."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from models_app.choices import Tier
from models_app.models import NAME_RULE, ModelVersion, RegisteredModel


class OwnerField(serializers.SlugRelatedField):
    """A user by name."""

    def __init__(self, **kwargs: Any) -> None:
        users = get_user_model().objects.filter(is_active=True)
        super().__init__(slug_field="username", queryset=users, **kwargs)


class ModelWriteSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100, validators=[NAME_RULE])
    description = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    algorithm = serializers.CharField(max_length=40)
    parameters = serializers.DictField(
        required=False, help_text="of the algorithm; unknown or out-of-range ones are named"
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, max_length=20
    )
    owner = OwnerField(required=False, help_text="a username; default: the caller")
    tier = serializers.ChoiceField(choices=Tier.choices, required=False)


class ModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    owner = serializers.CharField(source="owner.username", read_only=True)
    newest_version = serializers.IntegerField(read_only=True, allow_null=True)
    aliases = serializers.SerializerMethodField()

    class Meta:
        model = RegisteredModel
        fields = (
            "id", "name", "description", "algorithm", "parameters", "tags", "owner", "tier",
            "newest_version", "aliases", "created_at", "updated_at", "retired_at",
        )  # fmt: skip

    def get_aliases(self, model: RegisteredModel) -> dict[str, int]:
        return {alias.name: alias.version.number for alias in model.aliases.all()}


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    version = serializers.IntegerField(source="number", read_only=True)
    feature_set = serializers.SerializerMethodField(
        help_text='"name@v1": what it is served from the online store with; null: callers bring'
        " all features"
    )
    aliases = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = ModelVersion
        fields = (
            "id", "version", "algorithm", "parameters", "metrics", "signature", "lineage",
            "feature_set", "bundle_digest", "training_job", "aliases", "created_by", "created_at",
        )  # fmt: skip

    def get_feature_set(self, version: ModelVersion) -> str | None:
        return None if version.feature_set is None else str(version.feature_set)

    def get_aliases(self, version: ModelVersion) -> list[str]:
        return [alias.name for alias in version.aliases.all()]
