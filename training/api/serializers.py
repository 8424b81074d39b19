"""Shapes of training requests and jobs on the wire."""

from rest_framework import serializers

from aegisml.base.api.serializers import StrictSerializer
from training.models import TrainingJob


class TrainSerializer(StrictSerializer):
    dataset_path = serializers.CharField(
        max_length=1000,
        help_text="a CSV, CSV.gz or Parquet file, relative to ml.training.data_root",
    )
    parameters = serializers.DictField(
        required=False,
        help_text="validation_split, test_split, label_column, time_column, label_delay_days, "
        "exclude_columns, keep_columns, seed, and any parameter of the algorithm",
    )


class JobSerializer(serializers.ModelSerializer[TrainingJob]):
    model = serializers.CharField(source="model.name", read_only=True)
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    log_tail = serializers.ListField(child=serializers.CharField(), read_only=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = TrainingJob
        fields = (
            "id", "model", "status", "progress", "step", "dataset_path", "parameters", "reason",
            "requested_by", "version", "metrics", "error", "error_field", "attempts", "seconds",
            "created_at", "started_at", "finished_at", "log_tail",
        )  # fmt: skip
