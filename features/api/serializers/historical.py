"""Shapes of historical features on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import MomentField, StrictSerializer
from features.models import HistoricalJob


class HistoricalRequestSerializer(StrictSerializer):
    """Either all events of the set's stream from one time to another, or rows."""

    feature_set = serializers.CharField(max_length=80, help_text='"name@v1"')
    rows = serializers.ListField(
        child=serializers.DictField(), required=False,
        help_text='up to 10,000, such as {"at": "2026-03-01T12:00:00Z", "customer": "c1"}: a key'
        " for each entity, and any fields of the event",
    )  # fmt: skip
    as_known = serializers.BooleanField(
        default=True, help_text="false: features see what became known only later, too"
    )

    def get_fields(self) -> dict[str, Any]:
        # "from" can't be the name of a class attribute
        return {
            **super().get_fields(),
            "from": MomentField(
                source="since", required=False, help_text="of the first events, with its zone"
            ),
            "to": MomentField(
                source="until", required=False, help_text="later than the last events"
            ),
        }


class HistoricalJobSerializer(serializers.ModelSerializer[HistoricalJob]):
    """Needs what `HistoricalJobQuerySet.shown` adds."""

    feature_set = serializers.CharField(read_only=True)
    stream = serializers.CharField(source="feature_set.stream.name", read_only=True)
    moments = serializers.IntegerField(
        source="asked_count", allow_null=True, read_only=True, help_text="rows of the request"
    )
    as_known = serializers.BooleanField(source="asked_as_known", read_only=True)
    output_path = serializers.CharField(
        read_only=True, help_text="of a Parquet file; it can be trained on as dataset_path"
    )
    notes = serializers.ListField(child=serializers.CharField(), read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)

    class Meta:
        model = HistoricalJob
        fields = (
            "id", "feature_set", "stream", "moments", "as_known", "status", "progress", "rows",
            "output_path", "notes", "error", "requested_by", "created_at", "started_at",
            "finished_at",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(source="asked_from", allow_null=True, read_only=True),
            "to": serializers.DateTimeField(source="asked_to", allow_null=True, read_only=True),
        }


class FirstRowsSerializer(serializers.Serializer[Any]):
    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.DictField())
