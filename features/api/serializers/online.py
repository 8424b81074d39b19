"""Shapes of online features on the wire."""

from datetime import UTC
from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from features.choices import FeatureStatus

MAX_REQUESTS = 500


class WantedSerializer(StrictSerializer):
    entities = serializers.DictField(
        required=False, help_text='the entities\' keys: {"customer": "c1"}'
    )
    event = serializers.DictField(
        required=False, help_text="the event at hand, with the raw fields of its stream"
    )
    at = serializers.DateTimeField(
        required=False, default_timezone=UTC, help_text="default: now; an event has its own time"
    )


class OnlineRequestSerializer(WantedSerializer):
    """Either `requests`, or the fields of one."""

    feature_set = serializers.CharField(max_length=80, help_text='"name@v1"')
    requests = WantedSerializer(many=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        many = attrs.get("requests")
        if many is not None and attrs.keys() & {"entities", "event", "at"}:
            raise serializers.ValidationError({"requests": "give either requests or one request"})
        if many is not None and not 1 <= len(many) <= MAX_REQUESTS:
            text = f"must be a list of 1 to {MAX_REQUESTS} requests"
            raise serializers.ValidationError({"requests": text})
        return attrs


class FeatureValueSerializer(serializers.Serializer[Any]):
    value = serializers.JSONField(
        help_text="a number, boolean, text or null; for a sequence a list of lists of numbers"
    )
    version = serializers.CharField(help_text='"view@v2"')
    status = serializers.ChoiceField(choices=FeatureStatus.choices)
    as_of = serializers.DateTimeField(
        allow_null=True, help_text="of the newest event that was used"
    )
    age_seconds = serializers.FloatField(allow_null=True)


class ApproximateSerializer(serializers.Serializer[Any]):
    """An entity with too many events was answered from sums of them."""

    events = serializers.IntegerField(help_text="in the view's reach")
    distinct_error = serializers.FloatField(
        help_text="relative standard error of counts of different values above 256, or 0; all"
        " other features are exact"
    )


class FeaturesSerializer(serializers.Serializer[Any]):
    features = serializers.DictField(child=FeatureValueSerializer())
    approximate = serializers.DictField(
        child=ApproximateSerializer(), required=False, help_text='by "view@v2"'
    )


class OnlineResponseSerializer(FeaturesSerializer):
    """`results`, or the features of the one request."""

    feature_set = serializers.CharField()
    features = serializers.DictField(child=FeatureValueSerializer(), required=False)
    results = FeaturesSerializer(many=True, required=False)
