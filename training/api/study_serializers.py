"""Shapes of studies and their trials on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aegisml.base.api.serializers import MomentField, StrictSerializer
from training.choices import Metric, Pruner, Sampler
from training.models import Study, Trial
from training.services.studies import MAX_REASON
from training.standing import Standing


class TuneSerializer(StrictSerializer):
    """What a training takes, and how to search."""

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
        required=False, help_text="as for a training: what all trials have in common"
    )
    automl = serializers.BooleanField(
        default=False, help_text="search over algorithms too, and end with an ensemble if it wins"
    )
    algorithms = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        allow_empty=False,
        help_text="default: the model's; of AutoML all that learn from labels and suit the data",
    )
    space = serializers.DictField(
        required=False,
        help_text='by parameter: {"max_depth": {"low": 2, "high": 8}, "learning_rate": {"low": '
        '0.01, "high": 0.3, "log": true}, "class_weight": {"choices": ["none", "balanced"]}}; of '
        "AutoML by algorithm, then by parameter. Default: one that suits each algorithm",
    )
    metric = serializers.ChoiceField(
        choices=Metric.choices, default=Metric.AVERAGE_PRECISION, help_text="on validation rows"
    )
    sampler = serializers.ChoiceField(choices=Sampler.choices, default=Sampler.TPE)
    pruner = serializers.ChoiceField(
        choices=Pruner.choices,
        default=Pruner.MEDIAN,
        help_text="what gives trials up early, by average precision on the way",
    )
    trials = serializers.IntegerField(
        required=False, help_text="default: 30 where there is no time budget"
    )
    time_budget_seconds = serializers.IntegerField(
        required=False, help_text="from the first trial on; default: 900 of AutoML without trials"
    )
    workers = serializers.IntegerField(
        default=1, help_text="trials at the same time, up to ml.training.max_workers"
    )
    reason = serializers.CharField(max_length=MAX_REASON, default="requested")

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


class TrialSerializer(serializers.ModelSerializer[Trial]):
    seconds = serializers.FloatField(read_only=True, allow_null=True)
    curve = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        read_only=True,
        help_text="[tenths of the fit's rounds, average precision on validation rows]",
    )
    job = serializers.UUIDField(source="job_id", read_only=True, allow_null=True)

    class Meta:
        model = Trial
        fields = (
            "number", "algorithm", "parameters", "status", "value", "rounds", "curve", "step",
            "progress", "seconds", "attempts", "error", "job",
        )  # fmt: skip


class StudySerializer(serializers.ModelSerializer[Study]):
    model = serializers.CharField(source="model.name", read_only=True)
    stream = serializers.CharField(source="feature_set.stream.name", default=None, read_only=True)
    feature_set = serializers.CharField(default=None, read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    automl = serializers.BooleanField(source="is_automl", read_only=True)
    trials_wanted = serializers.IntegerField(read_only=True, allow_null=True)
    best_value = serializers.FloatField(
        read_only=True, default=None, help_text="so far, of the metric on validation rows"
    )
    version = serializers.IntegerField(
        source="version.number", default=None, read_only=True, help_text="the study's answer"
    )
    ensemble_job = serializers.UUIDField(source="ensemble_job_id", read_only=True, allow_null=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = Study
        fields: tuple[str, ...] = (
            "id", "model", "status", "phase", "dataset_path", "stream", "feature_set",
            "parameters", "automl", "algorithms", "space", "metric", "sampler", "pruner",
            "trials_wanted", "time_budget_seconds", "workers", "best_value", "version",
            "ensemble_job", "verdict", "reason", "requested_by", "error", "error_field",
            "seconds", "created_at", "started_at", "searched_at", "finished_at",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(source="since", read_only=True, allow_null=True),
            "to": serializers.DateTimeField(source="until", read_only=True, allow_null=True),
        }


class ShareSerializer(serializers.Serializer[Any]):
    parameter = serializers.CharField()
    share = serializers.FloatField(help_text="of how much the value varied, by fANOVA")


class ImportanceSerializer(serializers.Serializer[Any]):
    algorithm = serializers.CharField()
    trials = serializers.IntegerField(help_text="with a value")
    shares = ShareSerializer(many=True)


class StudyDetailSerializer(StudySerializer):
    """One study with its trials; `context` holds its `standing`."""

    progress = serializers.SerializerMethodField(help_text="percent of the search")
    eta_seconds = serializers.SerializerMethodField(help_text="of the search; null when unknown")
    importance = serializers.SerializerMethodField(
        help_text="of the parameters of algorithms with four trials that have a value"
    )
    best = serializers.SerializerMethodField(help_text="so far")
    trials = serializers.SerializerMethodField()

    class Meta(StudySerializer.Meta):
        fields = (
            *StudySerializer.Meta.fields, "progress", "eta_seconds", "importance", "best", "trials",
        )  # fmt: skip

    @classmethod
    def shown(cls, study: Study) -> dict[str, Any]:
        """The study as it stands."""
        return dict(cls(study, context={"standing": Standing.of(study)}).data)

    def get_progress(self, study: Study) -> int:
        return self._standing.progress

    def get_eta_seconds(self, study: Study) -> float | None:
        return self._standing.eta_seconds

    @extend_schema_field(ImportanceSerializer(many=True))
    def get_importance(self, study: Study) -> Any:
        found = [
            {
                "algorithm": algorithm,
                "trials": about["trials"],
                "shares": [{"parameter": n, "share": share} for n, share in about["shares"]],
            }
            for algorithm, about in sorted(study.importance.items())
            if about["shares"]
        ]
        return ImportanceSerializer(found, many=True).data

    @extend_schema_field(TrialSerializer(allow_null=True))
    def get_best(self, study: Study) -> Any:
        best = self._standing.best
        return None if best is None else TrialSerializer(best).data

    @extend_schema_field(TrialSerializer(many=True))
    def get_trials(self, study: Study) -> Any:
        return TrialSerializer(self._standing.trials, many=True).data

    @property
    def _standing(self) -> Standing:
        found: Standing = self.context["standing"]
        return found
