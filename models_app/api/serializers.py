"""Shapes of models and versions on the wire."""

from typing import Any

from django.contrib.auth import get_user_model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from models_app.choices import Tier
from models_app.ml.algorithms import Parameter
from models_app.models import NAME_RULE, ModelVersion, RegisteredModel

MAX_SIGNATURE = 1024**2  # characters


class OwnerField(serializers.SlugRelatedField):
    """A user by name."""

    def __init__(self, **kwargs: Any) -> None:
        users = get_user_model().objects.filter(is_active=True)
        super().__init__(slug_field="username", queryset=users, **kwargs)


class ParameterSerializer(serializers.Serializer[Parameter]):
    """One value that an algorithm takes."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=("int", "float", "choice", "bool"))
    default = serializers.JSONField(help_text="what it is when nobody says")
    allowed = serializers.CharField(help_text='such as "0.001 to 1", or the choices')
    help = serializers.CharField()


class KnownAlgorithmSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    enabled = serializers.BooleanField(help_text="by ml.training.algorithms of the configuration")
    parameters = ParameterSerializer(many=True)


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
    metrics = serializers.SerializerMethodField(help_text="without curves; one version has them")
    feature_set = serializers.SerializerMethodField(
        help_text='"name@v1": what it is served from the online store with; null: callers bring'
        " all features"
    )
    aliases = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = ModelVersion
        fields: tuple[str, ...] = (
            "id", "version", "algorithm", "parameters", "metrics", "signature", "lineage",
            "feature_set", "bundle_digest", "training_job", "aliases", "created_by", "created_at",
        )  # fmt: skip

    def get_metrics(self, version: ModelVersion) -> dict[str, Any]:
        return {name: value for name, value in version.metrics.items() if name != "curves"}

    def get_feature_set(self, version: ModelVersion) -> str | None:
        return None if version.feature_set is None else str(version.feature_set)

    def get_aliases(self, version: ModelVersion) -> list[str]:
        return [alias.name for alias in version.aliases.all()]


class BundleFileSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class EvidenceSerializer(serializers.Serializer[Any]):
    files = BundleFileSerializer(many=True)
    policy = serializers.DictField(allow_null=True, help_text="scores from which it acts")
    calibration = serializers.DictField(allow_null=True)
    refused = serializers.CharField(
        allow_null=True, help_text="why the files can't be trusted; null: their hashes fit"
    )


class ModelVersionDetailSerializer(VersionSerializer):
    """`context["evidence"]` is what the version's files tell."""

    metrics = serializers.DictField(read_only=True)  # type: ignore[assignment]
    model = serializers.CharField(source="model.name", read_only=True)
    evidence = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = ("model", *VersionSerializer.Meta.fields, "evidence")

    @extend_schema_field(EvidenceSerializer)
    def get_evidence(self, version: ModelVersion) -> Any:
        return EvidenceSerializer(self.context["evidence"]).data


class VersionImportSerializer(StrictSerializer):
    file = serializers.FileField(
        allow_empty_file=True,
        help_text="a zip of GET .../bundle, an ONNX model, XGBoost's UBJSON or JSON, or an MLflow"
        " model folder as a zip (flavors onnx and xgboost)",
    )
    signature = serializers.CharField(
        required=False,
        max_length=MAX_SIGNATURE,
        help_text='the features as JSON, {"features": [{"name", "kind", ...}]} or a list of names;'
        " needed where the file doesn't name its columns",
    )
    threshold = serializers.FloatField(
        required=False, help_text="review from this score; default 0.5"
    )
    fill = serializers.FloatField(
        required=False, help_text="stands for a missing number, where the model can't take one"
    )
    output = serializers.CharField(
        required=False, max_length=200, help_text="the ONNX output that holds the probability"
    )
    feature_set = serializers.CharField(
        required=False, max_length=100, help_text='"name@v1": what it is to be served from'
    )


class ComparedVersionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    model = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="number")
    algorithm = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(source="created_by.username")


class MeasureSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    better = serializers.ChoiceField(["higher", "lower"], allow_null=True)
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    intervals = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), allow_null=True),
        help_text="95 %, by bootstrap",
    )
    best = serializers.ListField(
        child=serializers.IntegerField(), help_text="places in `versions` of the best value"
    )
    overlaps_best = serializers.ListField(
        child=serializers.BooleanField(allow_null=True),
        help_text="whether its interval meets that of the best one",
    )


class DifferenceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))
    differs = serializers.BooleanField()


class ComparisonSerializer(serializers.Serializer[Any]):
    versions = ComparedVersionSerializer(many=True)
    same_rows = serializers.BooleanField(
        source="comparison.same_rows", allow_null=True, help_text="null: the lineage doesn't tell"
    )
    note = serializers.CharField(source="comparison.note")
    metrics = MeasureSerializer(many=True, source="comparison.measures")
    parameters = DifferenceSerializer(many=True, source="comparison.parameters")
    lineage = DifferenceSerializer(many=True, source="comparison.lineage")
    features = DifferenceSerializer(many=True, source="comparison.features")
