"""Reads of training jobs, in domain words."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

from aegisml.base import ids
from aegisml.base.errors import NotFound
from training.choices import ACTIVE, OPEN, JobStatus

if TYPE_CHECKING:
    from training.models import TrainingJob


class TrainingJobQuerySet(models.QuerySet["TrainingJob"]):
    def open(self) -> "TrainingJobQuerySet":
        return self.filter(status__in=OPEN)

    def active(self) -> "TrainingJobQuerySet":
        return self.filter(status__in=ACTIVE)

    def stalled(self) -> "TrainingJobQuerySet":
        """Running jobs whose worker stopped renewing its lease."""
        return self.active().filter(lease_until__lt=timezone.now())

    def forgotten(self) -> "TrainingJobQuerySet":
        """Queued jobs that no worker took for a while: their message may be lost."""
        patience = timedelta(seconds=settings.TRAINING.lease_seconds)
        return self.filter(status=JobStatus.QUEUED, created_at__lt=timezone.now() - patience)

    def lookup(self, text: str) -> "TrainingJob":
        """The job with this id; raises `NotFound`."""
        identifier = ids.parse_uuid(text)
        job = self.filter(pk=identifier).first() if identifier else None
        if job is None:
            raise NotFound(f"There is no training job {text[:100]!r}.")
        return job
