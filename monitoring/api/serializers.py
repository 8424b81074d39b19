"""Shapes of what monitoring answers."""

from typing import Any

from rest_framework import serializers

from monitoring.choices import ComponentState, ModelState


class HoursSerializer(serializers.Serializer[Any]):
    hours = serializers.IntegerField(
        min_value=1, max_value=720, default=24, help_text="length of the window that ends now"
    )


class WindowSerializer(serializers.Serializer[Any]):
    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.DateTimeField(), **super().get_fields()}  # a keyword of Python


class StateSerializer(serializers.Serializer[Any]):
    state = serializers.CharField()
    detail = serializers.CharField()


class LatencySerializer(serializers.Serializer[Any]):
    p50 = serializers.FloatField()
    p95 = serializers.FloatField()
    p99 = serializers.FloatField()


class MetricsSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    training = serializers.DictField(allow_null=True, help_text="held-out metrics of the champion")
    window = WindowSerializer()
    predictions = serializers.IntegerField()
    decisions = serializers.DictField(child=serializers.IntegerField())
    latency_ms = LatencySerializer(allow_null=True)
    performance = StateSerializer()


class ModelHealthSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    state = serializers.ChoiceField(choices=ModelState.choices)
    reasons = serializers.ListField(child=serializers.CharField())


class DriftSerializer(serializers.Serializer[Any]):
    method = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField()
    state = serializers.CharField()


class DriftReportSerializer(serializers.Serializer[Any]):
    state = serializers.CharField()
    detail = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    rows = serializers.IntegerField()
    score = DriftSerializer(allow_null=True)
    features = serializers.DictField(child=DriftSerializer())


class AlertsSerializer(serializers.Serializer[Any]):
    evaluated = serializers.BooleanField()
    detail = serializers.CharField()
    alerts = serializers.ListField(child=serializers.DictField())


class ComponentSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=ComponentState.choices)
    detail = serializers.CharField()


class SystemHealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=ComponentState.choices)
    components = ComponentSerializer(many=True)
