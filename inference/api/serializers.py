"""Shapes of deployments and predictions on the wire."""

from typing import Any

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


class PredictSerializer(serializers.Serializer[Any]):
    features = serializers.DictField(
        help_text="every feature of the model's signature; null: missing"
    )


class PredictedSerializer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    score = serializers.FloatField(help_text="probability of fraud, in [0, 1]")
    decision = serializers.ChoiceField(choices=Decision.choices)
    threshold = serializers.FloatField(help_text="the score from which on a payment is reviewed")
    latency_ms = serializers.FloatField()


class BatchSerializer(serializers.Serializer[Any]):
    instances = serializers.ListField(child=serializers.DictField(), help_text="1 to 10,000 rows")


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

    def get_latency_ms(self, prediction: Prediction) -> float:
        return prediction.latency_us / 1000
