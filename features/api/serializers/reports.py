"""Shapes of profiles and consistency runs on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from features.choices import RunStatus
from features.models import ConsistencyRun, FeatureProfile


class ProfileQuerySerializer(StrictSerializer):
    feature = serializers.CharField(required=False, max_length=60)
    to = serializers.DateField(required=False, help_text="included; a day of event time, UTC")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "from": serializers.DateField(required=False)}


class HistogramSerializer(serializers.Serializer[Any]):
    """Of numbers `edges` and `counts`, where bin i is [edges[i-1], edges[i]) and the outer ones
    are open; of texts `levels`, the most frequent first, and `other`."""

    edges = serializers.ListField(child=serializers.FloatField(), required=False)
    counts = serializers.ListField(child=serializers.IntegerField(), required=False)
    levels = serializers.DictField(child=serializers.IntegerField(), required=False)
    other = serializers.IntegerField(required=False)


class ProfileSerializer(serializers.ModelSerializer[FeatureProfile]):
    histogram = HistogramSerializer(source="shown_histogram")

    class Meta:
        model = FeatureProfile
        fields = (
            "feature", "day", "rows", "nulls", "histogram", "quantiles", "newest_event_at",
            "computed_at",
        )  # fmt: skip


class ExampleSerializer(serializers.Serializer[Any]):
    prediction = serializers.UUIDField()
    served = serializers.JSONField(allow_null=True)
    again = serializers.JSONField(allow_null=True, help_text="as it was computed again")


class AgreementSerializer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    version = serializers.CharField(help_text='"view@v2"')
    compared = serializers.IntegerField()
    mismatch = serializers.IntegerField(help_text="other values, beyond 1e-9 of them")
    missing = serializers.IntegerField(help_text="served null where there is a value")
    extra = serializers.IntegerField(help_text="served a value where there is none")
    smape = serializers.FloatField(help_text="sum|a - b| / sum(|a| + |b|), 0 to 1")
    max_difference = serializers.FloatField()
    examples = ExampleSerializer(many=True)


class ConsistencySerializer(serializers.ModelSerializer[ConsistencyRun]):
    feature_set = serializers.CharField(help_text='"name@v1"')
    status = serializers.ChoiceField(choices=RunStatus.choices)
    features = AgreementSerializer(many=True, help_text="the worst first")

    class Meta:
        model = ConsistencyRun
        fields = (
            "id", "feature_set", "since", "until", "status", "compared", "disagreeing", "features",
            "error", "created_at", "finished_at",
        )  # fmt: skip
