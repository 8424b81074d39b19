"""Shapes of training requests and jobs on the wire."""

from typing import Any

from rest_framework import serializers

from aegisml.base.api.serializers import MomentField, StrictSerializer
from training.choices import PRIORITIES, Priority
from training.models import TrainingJob
from training.options import MAX_REASON
from training.queue import Queue, why_waiting


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
        help_text="validation_split, test_split or test_from, split (time, random), label_column, "
        "time_column, label_delay_days, exclude_columns, keep_columns, seed, refit, calibration, "
        "policy, amount_column, entity_column, segment_columns, typology_column, known_entities, "
        "overrides, members, and any parameter of the algorithm",
    )
    priority = serializers.ChoiceField(
        choices=tuple(PRIORITIES),
        default=Priority.NORMAL.word,
        help_text="which queued job is taken next; the oldest among equals",
    )
    allow_duplicate = serializers.BooleanField(
        default=False, help_text="even if the same training is queued or running"
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


class OverrideSerializer(StrictSerializer):
    reason = serializers.CharField(
        max_length=MAX_REASON, help_text="why the evidence may pass; it is kept with the version"
    )


class LeakSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="the override that lets it pass")
    column = serializers.CharField()
    text = serializers.CharField()
    value = serializers.FloatField()


class JobSerializer(serializers.ModelSerializer[TrainingJob]):
    model = serializers.CharField(source="model.name", read_only=True)
    stream = serializers.CharField(source="feature_set.stream.name", default=None, read_only=True)
    feature_set = serializers.CharField(
        default=None, read_only=True, help_text="what it trains on when dataset_path is empty"
    )
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    priority = serializers.SerializerMethodField()
    waiting_for = serializers.SerializerMethodField(
        help_text="why a queued job is not running yet; null for every other"
    )
    eta_seconds = serializers.FloatField(
        read_only=True, allow_null=True, help_text="by the pace of the fit; null when unknown"
    )
    log_tail = serializers.ListField(child=serializers.CharField(), read_only=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = TrainingJob
        fields: tuple[str, ...] = (
            "id", "model", "status", "priority", "waiting_for", "progress", "step", "eta_seconds",
            "dataset_path", "stream", "feature_set", "parameters", "reason", "requested_by",
            "version", "metrics", "error", "error_field", "attempts", "is_quarantined", "seconds",
            "created_at", "started_at", "finished_at", "log_tail",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(source="since", read_only=True, allow_null=True),
            "to": serializers.DateTimeField(source="until", read_only=True, allow_null=True),
        }

    def get_priority(self, job: TrainingJob) -> str:
        return Priority(job.priority).word

    def get_waiting_for(self, job: TrainingJob) -> str | None:
        queue: Queue | None = self.context.get("queue")
        return queue.why(job) if queue else why_waiting(job)


class JobDetailSerializer(JobSerializer):
    """One job, with what is too long for a list."""

    curve = serializers.ListField(
        source="points",
        child=serializers.DictField(),
        read_only=True,
        help_text='per round: {"round": 10, "validation_ap": 0.61, ...}',
    )
    leaks = LeakSerializer(many=True, read_only=True)

    class Meta(JobSerializer.Meta):
        fields = (*JobSerializer.Meta.fields, "curve", "leaks")
