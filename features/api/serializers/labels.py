"""Shapes of labels on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from features.choices import Disposition, LabelSource
from features.models import Label
from features.services.labels import MAX_STATEMENTS

_FORMS = "give stream and event_id, or prediction_id"


class NewLabelSerializer(StrictSerializer):
    """About an event of a stream, or about a prediction."""

    stream = serializers.CharField(max_length=60, required=False)
    event_id = serializers.CharField(max_length=100, required=False)
    prediction_id = serializers.UUIDField(required=False)
    disposition = serializers.ChoiceField(choices=Disposition.choices)
    external_id = serializers.CharField(
        max_length=100, required=False, allow_blank=True,
        help_text="your own id of the statement: the same one twice is one label",
    )  # fmt: skip
    comment = serializers.CharField(max_length=400, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        # not a class attribute: `source` is one of every field
        source = serializers.ChoiceField(choices=LabelSource.choices)
        return {**super().get_fields(), "source": source}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {"stream", "event_id", "prediction_id"} & attrs.keys()
        if given not in ({"stream", "event_id"}, {"prediction_id"}):
            raise serializers.ValidationError({"event_id": _FORMS})
        return attrs


class LabelsRequestSerializer(StrictSerializer):
    """Either `label` or `labels`."""

    # not a class attribute: `label` is one of every serializer
    def get_fields(self) -> dict[str, Any]:
        most = f"1 to {MAX_STATEMENTS:,}"
        return {
            "label": NewLabelSerializer(required=False),
            "labels": NewLabelSerializer(many=True, required=False, help_text=most),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"labels": "give either label or labels"})
        if not 1 <= len(attrs.get("labels", [None])) <= MAX_STATEMENTS:
            text = f"must be a list of 1 to {MAX_STATEMENTS:,} labels"
            raise serializers.ValidationError({"labels": text})
        return attrs


class LabelErrorSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="the label's place in the request, from 0")
    field = serializers.CharField()
    message = serializers.CharField()


class RecordedSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="recorded before under their external_id")
    rejected = serializers.IntegerField()
    waiting = serializers.IntegerField(
        help_text="accepted ones about predictions whose event isn't logged yet"
    )
    ids = serializers.ListField(child=serializers.UUIDField(), help_text="of the accepted ones")

    def get_fields(self) -> dict[str, Any]:
        # not a class attribute: `errors` is a property of every serializer
        errors = LabelErrorSerializer(many=True, help_text="the first 100")
        return {**super().get_fields(), "errors": errors}


class LabelSerializer(serializers.ModelSerializer[Label]):
    stream = serializers.CharField(source="stream.name", default=None, read_only=True)
    recorded_by = serializers.CharField(source="recorded_by.username", read_only=True)
    reversed_at = serializers.DateTimeField(
        source="reversal.known_time", default=None, read_only=True
    )

    class Meta:
        model = Label
        fields = (
            "id", "stream", "event_id", "prediction_id", "source", "disposition", "external_id",
            "comment", "known_time", "recorded_by", "reverses", "reversed_at",
        )  # fmt: skip


class ReverseSerializer(StrictSerializer):
    comment = serializers.CharField(max_length=400, required=False, allow_blank=True, default="")
