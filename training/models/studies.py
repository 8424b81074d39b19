"""Studies: searches for the parameters that are best on validation rows."""

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from features.models import FeatureSet
from models_app.choices import Algorithm
from models_app.models import ModelVersion, RegisteredModel
from training.choices import OPEN_STUDIES, Metric, Phase, Pruner, Sampler, StudyStatus
from training.models.jobs import MAX_KEY, TrainingJob
from training.querysets import StudyQuerySet

if TYPE_CHECKING:
    from training.models.trials import Trial

MAX_TRIALS = 2000  # of one study
FINALISTS = 3  # of an AutoML study, each the best of its algorithm
_ON_FILE = models.Q(feature_set__isnull=True, since__isnull=True, until__isnull=True) & ~models.Q(
    dataset_path=""
)
_ON_STREAM = models.Q(
    feature_set__isnull=False, since__isnull=False, until__gt=F("since"), dataset_path=""
)


class Study(models.Model):
    """One request to search: on what a training job trains on, over one algorithm's parameters
    or, as AutoML, over several algorithms and theirs.

    Its trials are rows of their own, each done by one worker. `space` is by algorithm
    (`training.ml.spaces`); `parameters` are what all trials have in common.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="studies")
    status = models.CharField(max_length=20, choices=StudyStatus, default=StudyStatus.QUEUED)
    phase = models.CharField(max_length=20, choices=Phase, default=Phase.SEARCH)

    dataset_path = models.CharField("dataset", max_length=1000, blank=True)
    # of the file when it was asked for (training.fingerprints): another may lie there later
    fingerprint = models.JSONField(default=dict, blank=True, editable=False)
    feature_set = models.ForeignKey(
        FeatureSet, null=True, blank=True, on_delete=models.PROTECT, related_name="studies"
    )
    since = models.DateTimeField(
        "from", null=True, blank=True, help_text="UTC; of the first events"
    )
    until = models.DateTimeField(
        "to", null=True, blank=True, help_text="UTC; later than the last events"
    )
    # all trials, and the trainings at the end, look at labels as they were known then
    mature_at = models.DateTimeField(null=True, blank=True, editable=False)
    parameters = models.JSONField(default=dict, blank=True)

    algorithms = ArrayField(models.CharField(max_length=40, choices=Algorithm))
    space = models.JSONField(default=dict, blank=True)
    is_automl = models.BooleanField(
        "AutoML", default=False, help_text="over algorithms, and ends with an ensemble"
    )
    metric = models.CharField(max_length=40, choices=Metric, default=Metric.AVERAGE_PRECISION)
    sampler = models.CharField(max_length=20, choices=Sampler, default=Sampler.TPE)
    pruner = models.CharField(max_length=20, choices=Pruner, default=Pruner.MEDIAN)
    trials_wanted = models.PositiveIntegerField("trials", null=True, blank=True)
    time_budget_seconds = models.PositiveIntegerField("time budget", null=True, blank=True)
    workers = models.PositiveSmallIntegerField(default=1, help_text="trials at the same time")

    reason = models.CharField(max_length=200, default="requested")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    request_digest = models.CharField(max_length=64, blank=True, editable=False)
    idempotency_key = models.CharField(max_length=MAX_KEY, blank=True, editable=False)

    best_trial = models.ForeignKey(
        "training.Trial", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # {"trials": how many it is of, "shares": [[parameter, share], ...]} by algorithm
    importance = models.JSONField(default=dict, blank=True)
    ensemble_job = models.ForeignKey(
        TrainingJob, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="studies"
    )
    verdict = models.TextField(blank=True, help_text="how the answer was chosen")
    error = models.TextField(blank=True)
    error_field = models.CharField(max_length=200, blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    searched_at = models.DateTimeField(null=True, blank=True, help_text="end of the search")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        verbose_name = "study"
        verbose_name_plural = "studies"
        ordering = ("-created_at",)
        indexes = [models.Index(fields=["status"], name="study_by_status")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=StudyStatus.values), name="study_status_is_known"
            ),
            models.CheckConstraint(condition=_ON_FILE | _ON_STREAM, name="study_has_one_source"),
            models.CheckConstraint(
                condition=models.Q(trials_wanted__gte=1) | models.Q(time_budget_seconds__gte=1),
                name="study_has_an_end",
            ),
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="one_study_per_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_finished(self) -> bool:
        return self.status not in OPEN_STUDIES

    @property
    def seconds(self) -> float | None:
        """How long the study has run, or ran."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def deadline(self) -> datetime | None:
        """When the time budget is used up."""
        if self.started_at is None or self.time_budget_seconds is None:
            return None
        return self.started_at + timedelta(seconds=self.time_budget_seconds)

    @property
    def source(self) -> str:
        """What it searches on, in words."""
        return self.training().source

    def training(
        self, *, algorithm: str = "", parameters: dict[str, Any] | None = None
    ) -> TrainingJob:
        """What a job with these parameters beside the common ones would train; not a row."""
        return TrainingJob(
            model=self.model,
            dataset_path=self.dataset_path,
            fingerprint=self.fingerprint,
            feature_set=self.feature_set,
            since=self.since,
            until=self.until,
            mature_at=self.mature_at,
            chosen_algorithm=algorithm,
            parameters={**self.parameters, **(parameters or {})},
        )

    def finalists(self) -> "list[Trial]":
        """The best trial of each of the best algorithms, the best first; of a study that isn't
        AutoML the best one."""
        best: dict[str, Trial] = {}
        for trial in self.trials.ranked().select_related("job__version"):
            best.setdefault(trial.algorithm, trial)
        return list(best.values())[: FINALISTS if self.is_automl else 1]

    def optuna_name(self, algorithm: str) -> str:
        """What Optuna calls the search over this algorithm's parameters."""
        return f"{self.pk}/{algorithm}"

    def begin(self) -> bool:
        """Start a queued study; False when it isn't queued any more."""
        now = timezone.now()
        queued = Study.objects.filter(pk=self.pk, status=StudyStatus.QUEUED)
        won = queued.update(
            status=StudyStatus.RUNNING, started_at=now, mature_at=Coalesce("mature_at", now)
        )
        self.refresh_from_db()
        return won == 1

    def finish(self, status: StudyStatus, **values: Any) -> bool:
        """End the study; False when it is over already."""
        going = Study.objects.filter(pk=self.pk, status__in=OPEN_STUDIES)
        if status != StudyStatus.CANCELLED:  # whoever asked for it to stop is obeyed
            going = going.exclude(status=StudyStatus.CANCELLING)
        won = going.update(status=status, finished_at=timezone.now(), **values) == 1
        self.refresh_from_db()
        return won

    def request_cancel(self) -> StudyStatus | None:
        """Cancel at once when queued, else tell the trials to stop; None when it is over."""
        rows = Study.objects.filter(pk=self.pk)
        now = timezone.now()
        if rows.filter(status=StudyStatus.QUEUED).update(
            status=StudyStatus.CANCELLED, finished_at=now
        ):
            return StudyStatus.CANCELLED
        if rows.filter(status__in=OPEN_STUDIES).update(status=StudyStatus.CANCELLING):
            return StudyStatus.CANCELLING
        return None
