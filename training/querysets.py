"""Reads of training jobs, studies and trials, in domain words."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

from aegisml.base import ids
from aegisml.base.errors import NotFound
from training.choices import (
    ACTIVE,
    FINISHED,
    OPEN,
    OPEN_STUDIES,
    OPEN_TRIALS,
    JobStatus,
    StudyStatus,
    TrialStatus,
)

if TYPE_CHECKING:
    from training.models import Study, TrainingJob, Trial


class TrainingJobQuerySet(models.QuerySet["TrainingJob"]):
    def open(self) -> "TrainingJobQuerySet":
        return self.filter(status__in=OPEN)

    def finished(self) -> "TrainingJobQuerySet":
        return self.filter(status__in=FINISHED)

    def active(self) -> "TrainingJobQuerySet":
        return self.filter(status__in=ACTIVE)

    def stalled(self) -> "TrainingJobQuerySet":
        """Running jobs whose worker stopped renewing its lease."""
        return self.active().filter(lease_until__lt=timezone.now())

    def due(self) -> "TrainingJobQuerySet":
        """Queued jobs that may be taken now, the next one first."""
        now = timezone.now()
        return (
            self.filter(status=JobStatus.QUEUED)
            .filter(models.Q(not_before=None) | models.Q(not_before__lte=now))
            .in_turn()
        )

    def in_turn(self) -> "TrainingJobQuerySet":
        """The most urgent first, and the oldest of them."""
        return self.order_by("-priority", "created_at", "pk")

    def held(self) -> "TrainingJobQuerySet":
        """Jobs that a living worker has: its lease lasts."""
        return self.active().filter(lease_until__gte=timezone.now())

    def forgotten(self) -> "TrainingJobQuerySet":
        """Queued jobs that no worker took for a while: their message may be lost, or it is time
        to try again."""
        patience = timedelta(seconds=settings.TRAINING.lease_seconds)
        old = models.Q(created_at__lt=timezone.now() - patience)
        return self.due().filter(old | models.Q(not_before__isnull=False))

    def lookup(self, text: str) -> "TrainingJob":
        """The job with this id; raises `NotFound`."""
        identifier = ids.parse_uuid(text)
        job = self.filter(pk=identifier).first() if identifier else None
        if job is None:
            raise NotFound(f"There is no training job {text[:100]!r}.")
        return job


class StudyQuerySet(models.QuerySet["Study"]):
    def open(self) -> "StudyQuerySet":
        return self.filter(status__in=OPEN_STUDIES)

    def with_best_value(self) -> "StudyQuerySet":
        """With `best_value`, the best of each study's trials so far, and `ended_count`, how many
        of them are over."""
        done = models.Q(trials__status=TrialStatus.SUCCEEDED)
        return self.annotate(
            best_value=models.Max("trials__value", filter=done),
            ended_count=models.Count("trials", filter=~models.Q(trials__status__in=OPEN_TRIALS)),
        )

    def forgotten(self) -> "StudyQuerySet":
        """Queued studies that no worker began for a while: their message may be lost."""
        patience = timedelta(seconds=settings.TRAINING.lease_seconds)
        return self.filter(status=StudyStatus.QUEUED, created_at__lt=timezone.now() - patience)

    def unsearched(self) -> "StudyQuerySet":
        """Studies that began and whose search hasn't been closed, also of those that are over."""
        return self.filter(started_at__isnull=False, searched_at__isnull=True)

    def lookup(self, text: str) -> "Study":
        """The study with this id; raises `NotFound`."""
        identifier = ids.parse_uuid(text)
        study = self.filter(pk=identifier).first() if identifier else None
        if study is None:
            raise NotFound(f"There is no study {text[:100]!r}.")
        return study


class TrialQuerySet(models.QuerySet["Trial"]):
    def open(self) -> "TrialQuerySet":
        return self.filter(status__in=OPEN_TRIALS)

    def running(self) -> "TrialQuerySet":
        return self.filter(status=TrialStatus.RUNNING)

    def stalled(self) -> "TrialQuerySet":
        """Running trials whose worker stopped renewing its lease."""
        return self.running().filter(lease_until__lt=timezone.now())

    def forgotten(self) -> "TrialQuerySet":
        """Queued trials that no worker took since they were announced a while ago: their message
        may be lost."""
        patience = timedelta(seconds=settings.TRAINING.lease_seconds)
        waiting = self.filter(status=TrialStatus.QUEUED, study__status=StudyStatus.RUNNING)
        return waiting.filter(announced_at__lt=timezone.now() - patience)

    def ranked(self) -> "TrialQuerySet":
        """Those with a value, the best first, and the earlier of equals."""
        return self.filter(status=TrialStatus.SUCCEEDED).order_by("-value", "number")

    def best(self) -> "Trial | None":
        return self.ranked().first()
