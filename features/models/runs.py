"""Work on features that takes a while, and what it found."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from features.choices import OPEN_RUN, RunStatus
from features.models.definitions import FeatureSet, FeatureViewVersion
from features.querysets import HistoricalJobQuerySet, LeasedRunQuerySet

LEASE = timedelta(seconds=60)


class LeasedRun(models.Model):
    """Work that one worker at a time has, as long as it keeps its lease."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=12, choices=RunStatus, default=RunStatus.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0, help_text="percent")
    fence = models.PositiveIntegerField(default=0, help_text="how often a worker took it")
    lease_until = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ("-created_at",)

    def claim(self, **values: Any) -> bool:
        """Take the run, queued or left by a worker that vanished; False when somebody has it."""
        own: Any = type(self)._default_manager
        won: int = (
            own.filter(pk=self.pk)
            .unattended()
            .update(
                status=RunStatus.RUNNING,
                fence=models.F("fence") + 1,
                lease_until=timezone.now() + LEASE,
                **values,
            )
        )
        if won:  # how far the worker before came is on the row too
            plain = [f.attname for f in self._meta.concrete_fields if not f.is_relation]
            self.refresh_from_db(fields=plain)
        return won == 1

    def write(self, **values: Any) -> bool:
        """Update the row and extend the lease; False when the run was taken away."""
        own: Any = type(self)._default_manager
        owned = own.filter(pk=self.pk, fence=self.fence, status=RunStatus.RUNNING)
        changed: int = owned.update(**{"lease_until": timezone.now() + LEASE, **values})
        return changed == 1

    def renew(self) -> RunStatus | None:
        """Extend the lease; gives the status, or None when the run was taken away."""
        return RunStatus.RUNNING if self.write() else None

    def finish(self, status: RunStatus, **values: Any) -> bool:
        """End the run if this worker still owns it."""
        return self.write(status=status, finished_at=timezone.now(), lease_until=None, **values)


class MaterializeRun(LeasedRun):
    """One (re)building of a view version's online state from the event log."""

    version = models.ForeignKey(
        FeatureViewVersion, on_delete=models.CASCADE, related_name="materialize_runs"
    )
    reason = models.CharField(max_length=200, blank=True)
    cursor = models.CharField(max_length=200, blank=True, help_text="the last day that is done")
    events = models.PositiveBigIntegerField(default=0)

    objects = LeasedRunQuerySet["MaterializeRun"].as_manager()

    class Meta(LeasedRun.Meta):
        verbose_name = "materialize run"
        constraints = [
            models.UniqueConstraint(
                fields=["version"],
                condition=models.Q(status__in=OPEN_RUN),
                name="one_open_run_per_version",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.created_at:%Y-%m-%d %H:%M}"


class HistoricalJob(LeasedRun):
    """A request for features as of past moments, whose answer is a Parquet file."""

    feature_set = models.ForeignKey(
        FeatureSet, on_delete=models.PROTECT, related_name="historical_jobs"
    )
    request = models.JSONField(help_text="either from and to, or rows of keys and times")
    output_path = models.CharField(max_length=500, blank=True, help_text="below the data root")
    rows = models.PositiveBigIntegerField(default=0)
    notes = models.JSONField(default=list, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    started_at = models.DateTimeField(null=True, blank=True)

    objects = HistoricalJobQuerySet.as_manager()

    class Meta(LeasedRun.Meta):
        verbose_name = "historical features"
        verbose_name_plural = "historical features"

    def __str__(self) -> str:
        return f"{self.feature_set} {self.created_at:%Y-%m-%d %H:%M}"

    def claim(self, **values: Any) -> bool:
        return super().claim(started_at=timezone.now(), progress=0, **values)

    def give_up(self, error: str) -> bool:
        """Fail a job whose worker vanished; False when it moved on meanwhile."""
        stalled = HistoricalJob.objects.stalled().filter(pk=self.pk, fence=self.fence)
        failed = {"status": RunStatus.FAILED, "error": error, "finished_at": timezone.now()}
        return stalled.update(lease_until=None, **failed) == 1


class FeatureProfile(models.Model):
    """How a feature of a version was distributed on one day of event time."""

    version = models.ForeignKey(
        FeatureViewVersion, on_delete=models.CASCADE, related_name="profiles"
    )
    feature = models.CharField(max_length=60)
    day = models.DateField()
    rows = models.PositiveBigIntegerField()
    nulls = models.PositiveBigIntegerField()
    histogram = models.JSONField(help_text="counts over the version's fixed edges, or per category")
    quantiles = models.JSONField(default=dict)
    newest_event_at = models.DateTimeField(null=True, blank=True)
    computed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "feature profile"
        ordering = ("-day", "feature")
        constraints = [
            models.UniqueConstraint(
                fields=["version", "feature", "day"], name="one_profile_per_feature_and_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.feature} {self.day}"

    @property
    def shown_histogram(self) -> dict[str, Any]:
        """Of numbers their edges and counts, of texts their levels, the most frequent first:
        the table keeps no order of keys."""
        if "edges" in self.histogram:
            return {name: self.histogram[name] for name in ("edges", "counts")}
        counts = self.histogram["counts"].items()
        levels = dict(sorted(counts, key=lambda level: (-level[1], level[0])))
        return {"levels": levels, "other": self.histogram["other"]}


class ConsistencyRun(models.Model):
    """A comparison of served feature values with the same features computed offline."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    feature_set = models.ForeignKey(
        FeatureSet, on_delete=models.CASCADE, related_name="consistency_runs"
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    status = models.CharField(max_length=12, choices=RunStatus, default=RunStatus.RUNNING)
    compared = models.PositiveBigIntegerField(default=0, help_text="predictions")
    disagreeing = models.PositiveBigIntegerField(default=0, help_text="predictions")
    features = models.JSONField(
        default=list, help_text="per feature: compared, mismatch, missing, extra, smape"
    )
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "consistency run"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.feature_set} {self.created_at:%Y-%m-%d %H:%M}"
