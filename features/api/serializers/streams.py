"""Shapes of streams and events on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from features.choices import Policy
from features.models import QuarantinedRow, Stream
from features.models.events import NAME_RULE


class StreamSerializer(serializers.ModelSerializer[Stream]):
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = Stream
        fields = (
            "name", "description", "definition", "policy", "label_delay_days", "created_by",
            "created_at", "updated_at",
        )  # fmt: skip


class StreamChangeSerializer(StrictSerializer):
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    definition = serializers.DictField(
        required=False,
        help_text='{"fields": [{"name", "type", "required", "min", "max", "allowed",'
        ' "max_length"}], "event_id", "event_time", "entities": {entity: field}, "known_time",'
        ' "label", "timezone", "future_seconds"}',
    )
    policy = serializers.ChoiceField(choices=Policy.choices, required=False)
    label_delay_days = serializers.FloatField(required=False)


class StreamWriteSerializer(StreamChangeSerializer):
    name = serializers.CharField(max_length=60, validators=[NAME_RULE])

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        fields["definition"].required = True
        return fields


class EventsSerializer(StrictSerializer):
    """One event or a list of them: either `event` or `events`. The rows are checked against the
    stream's schema, not here."""

    event = serializers.DictField(required=False)
    events = serializers.ListField(child=serializers.DictField(), required=False)


class RowErrorSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="the event's place in the request, from 0")
    event_id = serializers.CharField()
    field = serializers.CharField()
    rule = serializers.CharField()
    message = serializers.CharField()


class IngestedSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="in the log already, with the same content")
    rejected = serializers.IntegerField(help_text="put into quarantine")
    warnings = serializers.IntegerField(help_text="broken rules that the stream lets pass")
    pending_online = serializers.IntegerField(
        help_text="accepted events that the online store gets later"
    )

    def get_fields(self) -> dict[str, Any]:
        # not a class attribute: `errors` is a property of every serializer
        errors = RowErrorSerializer(many=True, help_text="the first 100")
        return {**super().get_fields(), "errors": errors}


class RuleRateSerializer(serializers.Serializer[Any]):
    day = serializers.DateField(help_text="of arrival, UTC")
    rule = serializers.CharField(help_text='"rows" counts what was checked')
    field = serializers.CharField()
    count = serializers.IntegerField()
    rows = serializers.IntegerField(help_text="rows that came on the day")
    rate = serializers.FloatField()


class QualitySerializer(serializers.Serializer[Any]):
    results = RuleRateSerializer(many=True)


class QuarantinedRowSerializer(serializers.ModelSerializer[QuarantinedRow]):
    class Meta:
        model = QuarantinedRow
        fields = ("id", "source", "line", "event_id", "reasons", "raw", "created_at")
