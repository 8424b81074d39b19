"""Shapes of training requests and jobs on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import MomentField, StrictSerializer
from training.models import TrainingJob


class TrainSerializer(StrictSerializer):
    """Either a file, or a feature set with the stretch of its stream's events."""

    dataset_path = serializers.CharField(
        max_length=1000,
        required=False,
        help_text="a CSV, CSV.gz or Parquet file, relative to ml.training.data_root",
    )
    feature_set = serializers.CharField(
        max_length=80, required=False, help_text='"name@v1", or "name" for its newest'
    )
    stream = serializers.CharField(
        max_length=60, required=False, help_text="the feature set's stream; may be left out"
    )
    parameters = serializers.DictField(
        required=False,
        help_text="validation_split, test_split, label_column, time_column, label_delay_days, "
        "exclude_columns, keep_columns, seed, and any parameter of the algorithm",
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


class JobSerializer(serializers.ModelSerializer[TrainingJob]):
    model = serializers.CharField(source="model.name", read_only=True)
    stream = serializers.CharField(source="feature_set.stream.name", default=None, read_only=True)
    feature_set = serializers.CharField(
        default=None, read_only=True, help_text="what it trains on when dataset_path is empty"
    )
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    log_tail = serializers.ListField(child=serializers.CharField(), read_only=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = TrainingJob
        fields = (
            "id", "model", "status", "progress", "step", "dataset_path", "stream",
            "feature_set", "parameters", "reason", "requested_by", "version", "metrics", "error",
            "error_field", "attempts", "seconds", "created_at", "started_at", "finished_at",
            "log_tail",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(source="since", read_only=True, allow_null=True),
            "to": serializers.DateTimeField(source="until", read_only=True, allow_null=True),
        }
