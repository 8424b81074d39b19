"""Trials: the fits that a study is made of."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from models_app.choices import Algorithm
from training.choices import OPEN_TRIALS, StudyStatus, TrialStatus
from training.models.jobs import TrainingJob
from training.models.studies import Study
from training.querysets import TrialQuerySet


class Trial(models.Model):
    """One fit with parameters that the study's sampler chose.

    A worker owns it while its lease lasts, as with training jobs. `curve` holds what was
    measured on validation rows on the way: [tenths of the rounds, value].
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="trials")
    number = models.PositiveIntegerField()
    algorithm = models.CharField(max_length=40, choices=Algorithm)
    parameters = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=20, choices=TrialStatus, default=TrialStatus.QUEUED)
    value = models.FloatField(null=True, blank=True, help_text="the study's metric")
    rounds = models.PositiveIntegerField(null=True, blank=True, help_text="trees or epochs kept")
    curve = models.JSONField(default=list, blank=True)
    step = models.CharField(max_length=40, blank=True)
    progress = models.PositiveSmallIntegerField(default=0, help_text="percent")
    error = models.TextField(blank=True)
    # Optuna's id of it, once its sampler was asked
    optuna_id = models.BigIntegerField(null=True, blank=True, editable=False)
    # the training of a version with its parameters
    job = models.ForeignKey(
        TrainingJob, null=True, blank=True, on_delete=models.PROTECT, related_name="trials"
    )

    attempts = models.PositiveSmallIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    announced_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="to the workers, last"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TrialQuerySet.as_manager()

    class Meta:
        ordering = ("study", "number")
        indexes = [models.Index(fields=["status", "lease_until"], name="trial_by_lease")]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="one_trial_per_number"),
            models.CheckConstraint(
                condition=models.Q(status__in=TrialStatus.values), name="trial_status_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(value__isnull=False) | ~models.Q(status=TrialStatus.SUCCEEDED),
                name="succeeded_trial_has_a_value",
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.number} of {self.study_id}"

    @property
    def is_finished(self) -> bool:
        return self.status not in OPEN_TRIALS

    @property
    def seconds(self) -> float | None:
        """How long the trial has run, or ran; its first attempt counts."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def shown_value(self) -> float | None:
        """The value, or what was measured last on the way to it."""
        if self.value is not None or not self.curve:
            return self.value
        return float(self.curve[-1][1])

    def claim(self, *, worker: str) -> bool:
        """Take the queued trial of a running study for `worker`; False when it isn't there to
        be taken."""
        now = timezone.now()
        queued = Trial.objects.filter(
            pk=self.pk, status=TrialStatus.QUEUED, study__status=StudyStatus.RUNNING
        )
        won = queued.update(
            status=TrialStatus.RUNNING,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            worker=worker[:100],
            started_at=Coalesce("started_at", now),
            lease_until=now + _lease(),
            curve=[],
            error="",
        )
        if won:
            self.refresh_from_db()
        return won == 1

    def renew(self) -> bool:
        """Extend the lease; False when the trial was taken away."""
        return self.write(lease_until=timezone.now() + _lease())

    def look(self) -> StudyStatus | None:
        """The study's status, or None when the trial was taken away from this worker. Raises
        `DoesNotExist` when the row can't be seen."""
        row = Trial.objects.values_list("status", "fence", "study__status").get(pk=self.pk)
        is_ours = row[:2] == (TrialStatus.RUNNING, self.fence)
        return StudyStatus(row[2]) if is_ours else None

    def write(self, **values: Any) -> bool:
        """Update the row if this worker still owns it."""
        owned = Trial.objects.filter(pk=self.pk, fence=self.fence, status=TrialStatus.RUNNING)
        return owned.update(**values) == 1

    def finish(self, status: TrialStatus, **values: Any) -> bool:
        """End the trial if this worker still owns it."""
        return self.write(status=status, finished_at=timezone.now(), lease_until=None, **values)

    def hand_back(self) -> bool:
        """Give the trial back to the queue because this worker stops: that is no attempt of the
        trial's. False when it was taken away."""
        back = {"status": TrialStatus.QUEUED, "attempts": F("attempts") - 1}
        return self.write(lease_until=None, announced_at=timezone.now(), **back)

    def requeue(self) -> bool:
        """Give a stalled trial back to the queue; False when it moved on meanwhile."""
        return self._stalled().update(status=TrialStatus.QUEUED, lease_until=None) == 1

    def give_up(self, status: TrialStatus, *, error: str = "") -> bool:
        """End a trial whose worker vanished; False when it moved on meanwhile."""
        now = timezone.now()
        ended = {"status": status, "finished_at": now, "lease_until": None, "error": error}
        return self._stalled().update(**ended) == 1

    def _stalled(self) -> TrialQuerySet:
        return Trial.objects.stalled().filter(pk=self.pk, fence=self.fence)


def _lease() -> timedelta:
    return timedelta(seconds=settings.TRAINING.lease_seconds)
