"""Shapes of deployments and predictions on the wire."""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from inference.choices import Decision
from inference.models import Deployment, Prediction


class DeploySerializer(StrictSerializer):
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="a version's number; default: the newest"
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)


class UndeploySerializer(StrictSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    model = serializers.CharField(source="model.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = Deployment
        fields = (
            "id", "model", "version", "status", "reason", "created_by", "created_at", "ended_at",
        )  # fmt: skip


class FromFeaturesSerializer(serializers.Serializer[Any]):
    """The values that the model takes, whoever computed them."""

    features = serializers.DictField(
        help_text="every feature of the model's signature; null: missing"
    )


class FromEventSerializer(serializers.Serializer[Any]):
    """A raw event, for a version that pins a feature set: its features are read from the online
    store for the event's own time."""

    event = serializers.DictField(
        help_text="the fields of the feature set's stream, with the keys of its entities; the"
        " label may be left out. Scoring does not add the event to the stream: send it to"
        " POST /api/v1/events/{stream} too, before or after"
    )


class PredictedSerializer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    score = serializers.FloatField(help_text="probability of fraud, in [0, 1]")
    decision = serializers.ChoiceField(choices=Decision.choices)
    threshold = serializers.FloatField(help_text="the score from which on a payment is reviewed")
    latency_ms = serializers.FloatField()


class BatchFromFeaturesSerializer(serializers.Serializer[Any]):
    instances = serializers.ListField(child=serializers.DictField(), help_text="1 to 10,000 rows")


class BatchFromEventsSerializer(serializers.Serializer[Any]):
    """Raw events, for a version that pins a feature set; they don't see each other."""

    events = serializers.ListField(child=serializers.DictField(), help_text="1 to 10,000 events")


PREDICT = PolymorphicProxySerializer(
    component_name="Predict",
    serializers=[FromFeaturesSerializer, FromEventSerializer],
    resource_type_field_name=None,
)
BATCH = PolymorphicProxySerializer(
    component_name="Batch",
    serializers=[BatchFromFeaturesSerializer, BatchFromEventsSerializer],
    resource_type_field_name=None,
)


class ScoredSerializer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField()
    score = serializers.FloatField()
    decision = serializers.ChoiceField(choices=Decision.choices)


class BatchPredictedSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    version = serializers.IntegerField()
    threshold = serializers.FloatField()
    count = serializers.IntegerField()
    latency_ms = serializers.FloatField()
    predictions = ScoredSerializer(many=True)


class FeatureOriginSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(help_text='"view@v2"')
    status = serializers.ChoiceField(choices=["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"])


class ViewOriginSerializer(serializers.Serializer[Any]):
    as_of = serializers.DateTimeField(
        allow_null=True, help_text="of the newest event that was used, the scored one included"
    )
    age_seconds = serializers.FloatField(allow_null=True, help_text="before the scored event")
    approximate = serializers.DictField(
        required=False, help_text="there when an entity with too many events was answered from sums"
    )


class ContextSerializer(serializers.Serializer[Any]):
    """The raw event that was scored, and where its features were from."""

    feature_set = serializers.CharField(help_text='"name@v1"')
    stream = serializers.CharField()
    event_id = serializers.CharField()
    event_time = serializers.DateTimeField()
    event = serializers.DictField(
        help_text="its fields as they were used, without the label; times are microseconds since"
        " 1970 UTC"
    )
    features = serializers.DictField(child=FeatureOriginSerializer(), help_text="by feature")
    views = serializers.DictField(child=ViewOriginSerializer(), help_text='by "view@v2"')


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    prediction_id = serializers.UUIDField(source="id")
    model = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="version.number")
    latency_ms = serializers.SerializerMethodField()

    class Meta:
        model = Prediction
        fields = (
            "prediction_id", "model", "version", "arm", "features", "score", "threshold",
            "decision", "latency_ms", "caller", "request_id", "created_at",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        # not a class attribute: `context` is a property of every serializer
        text = "null when the caller gave the features' values"
        context = ContextSerializer(allow_null=True, help_text=text)
        return {**super().get_fields(), "context": context}

    def get_latency_ms(self, prediction: Prediction) -> float:
        return prediction.latency_us / 1000
