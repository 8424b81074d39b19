"""Training jobs: the row is the job, its progress and its log."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from features.models import FeatureSet
from models_app.choices import Algorithm
from models_app.models import ModelVersion, RegisteredModel
from training.choices import ACTIVE, FINISHED, OPEN, JobStatus, Priority
from training.querysets import TrainingJobQuerySet

LOG_LIMIT = 20_000
MAX_KEY = 200  # characters of an idempotency key
TAIL = 50  # lines
_ON_FILE = models.Q(feature_set__isnull=True, since__isnull=True, until__isnull=True) & ~models.Q(
    dataset_path=""
)
_ON_STREAM = models.Q(
    feature_set__isnull=False, since__isnull=False, until__gt=F("since"), dataset_path=""
)


class TrainingJob(models.Model):
    """One request to train a model: on a file, or on the events of a feature set's stream from
    `since` up to, not including, `until`.

    A worker owns the job while its lease lasts: it claims the row by a
    conditional UPDATE that raises `fence`, and every later write names that
    fence, so that a worker that was given up can't write any more.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, related_name="training_jobs"
    )
    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.QUEUED)
    priority = models.PositiveSmallIntegerField(
        choices=Priority, default=Priority.NORMAL, help_text="which queued job is taken next"
    )
    dataset_path = models.CharField("dataset", max_length=1000, blank=True)
    # of the file when it was asked for (training.fingerprints): another may lie there later
    fingerprint = models.JSONField(default=dict, blank=True, editable=False)
    feature_set = models.ForeignKey(
        FeatureSet, null=True, blank=True, on_delete=models.PROTECT, related_name="training_jobs"
    )
    since = models.DateTimeField(
        "from", null=True, blank=True, help_text="UTC; of the first events"
    )
    until = models.DateTimeField(
        "to", null=True, blank=True, help_text="UTC; later than the last events"
    )
    # when labels were looked at first: a job that goes on after a crash must see the same
    mature_at = models.DateTimeField(null=True, blank=True, editable=False)
    chosen_algorithm = models.CharField(
        max_length=40, choices=Algorithm, blank=True, help_text="empty: the model's"
    )
    parameters = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=50, default="requested")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    request_digest = models.CharField(max_length=64, blank=True, editable=False)
    is_duplicate = models.BooleanField(
        default=False, editable=False, help_text="asked for although the same was open"
    )
    idempotency_key = models.CharField(max_length=MAX_KEY, blank=True, editable=False)

    progress = models.PositiveSmallIntegerField(default=0, help_text="percent")
    step = models.CharField(max_length=40, blank=True)
    expected_end = models.DateTimeField(null=True, blank=True, editable=False)
    log = models.TextField(blank=True)
    log_lines = models.PositiveIntegerField(default=0, help_text="ever written")
    metrics = models.JSONField(default=dict, blank=True)
    curve = models.JSONField(default=list, blank=True)
    error = models.TextField(blank=True)
    error_field = models.CharField(max_length=200, blank=True)
    version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="job"
    )

    attempts = models.PositiveSmallIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0, help_text="workers lost with this job")
    is_quarantined = models.BooleanField("quarantined", default=False)
    not_before = models.DateTimeField(null=True, blank=True, help_text="of the next attempt")
    fence = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        verbose_name = "training job"
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["status", "lease_until"], name="training_job_by_lease"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(progress__lte=100), name="progress_is_percent"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=JobStatus.values), name="job_status_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="job_priority_is_known"
            ),
            models.CheckConstraint(condition=_ON_FILE | _ON_STREAM, name="job_has_one_source"),
            models.CheckConstraint(
                condition=models.Q(is_quarantined=False) | models.Q(status=JobStatus.ERRORED),
                name="quarantined_job_is_errored",
            ),
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="one_job_per_idempotency_key",
            ),
            models.UniqueConstraint(
                fields=["request_digest"],
                condition=models.Q(status__in=OPEN, is_duplicate=False)
                & ~models.Q(request_digest=""),
                name="one_open_job_per_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def algorithm(self) -> str:
        """What it trains: the model's algorithm, unless another was chosen for this job."""
        return self.chosen_algorithm or self.model.algorithm

    @property
    def source(self) -> str:
        """What it trains on, in words."""
        if self.feature_set is None:
            return self.dataset_path
        return f"{self.feature_set} from {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"

    @property
    def source_field(self) -> str:
        """The field of the request that names what it trains on."""
        return "dataset_path" if self.feature_set_id is None else "feature_set"

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def seconds(self) -> float | None:
        """How long the job has run, or ran."""
        if self.started_at is None or self.status == JobStatus.QUEUED:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def eta_seconds(self) -> float | None:
        """How long the job still takes by the pace of its fit; None when nobody can say."""
        if self.status != JobStatus.RUNNING or self.expected_end is None:
            return None
        return max(0.0, round((self.expected_end - timezone.now()).total_seconds(), 1))

    @property
    def log_tail(self) -> list[str]:
        return self.log.splitlines()[-TAIL:]

    @property
    def points(self) -> list[dict[str, Any]]:
        """The learning curve: each round with what was measured after it, such as
        {"round": 10, "validation_ap": 0.61}."""
        # jobs of older releases have pairs of a round and its average precision
        return [
            point if isinstance(point, dict) else {"round": point[0], "validation_ap": point[1]}
            for point in self.curve
        ]

    @property
    def leaks(self) -> list[dict[str, Any]]:
        """Why a leak is suspected: kind, column, text and value each."""
        found: list[dict[str, Any]] = self.metrics.get("leaks", [])
        return found

    def claim(self, *, worker: str) -> bool:
        """Take the queued job for `worker`; False when somebody else has it."""
        now = timezone.now()
        won = TrainingJob.objects.filter(pk=self.pk, status=JobStatus.QUEUED).update(
            status=JobStatus.RUNNING,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            worker=worker[:100],
            started_at=now,
            mature_at=Coalesce("mature_at", now),
            lease_until=now + _lease(),
            not_before=None,
            expected_end=None,
            progress=0,
            step="",
            error="",
            error_field="",
        )
        if won:
            self.refresh_from_db()
        return won == 1

    def renew(self) -> JobStatus | None:
        """Extend the lease; gives the status, or None when the job was taken away."""
        self.write(lease_until=timezone.now() + _lease())
        return self.look()

    def look(self) -> JobStatus | None:
        """The status, or None when the job was taken away from this worker. Raises
        `DoesNotExist` when the row can't be seen."""
        status, fence = TrainingJob.objects.values_list("status", "fence").get(pk=self.pk)
        return JobStatus(status) if fence == self.fence and status != JobStatus.QUEUED else None

    def write(self, **values: Any) -> bool:
        """Update the row if this worker still owns it."""
        owned = TrainingJob.objects.filter(pk=self.pk, fence=self.fence, status__in=ACTIVE)
        return owned.update(**values) == 1

    def finish(self, status: JobStatus, **values: Any) -> bool:
        """End the job if this worker still owns it."""
        return self.write(
            status=status, finished_at=timezone.now(), lease_until=None, expected_end=None, **values
        )

    def postpone(self, *, until: datetime, error: str) -> bool:
        """Give the job back to the queue, to be tried again at `until`; False when it is to be
        cancelled, or was taken away."""
        running = TrainingJob.objects.filter(pk=self.pk, fence=self.fence, status=JobStatus.RUNNING)
        back = {"status": JobStatus.QUEUED, "not_before": until, "error": error}
        return running.update(lease_until=None, expected_end=None, **back) == 1

    def hand_back(self) -> bool:
        """Give the job back to the queue because this worker stops: that is no attempt of the
        job's. False when it is to be cancelled, or was taken away."""
        running = TrainingJob.objects.filter(pk=self.pk, fence=self.fence, status=JobStatus.RUNNING)
        back = {"status": JobStatus.QUEUED, "attempts": F("attempts") - 1}
        return running.update(lease_until=None, expected_end=None, **back) == 1

    def requeue(self) -> bool:
        """Give a stalled job back to the queue; False when it moved on meanwhile."""
        stalled = TrainingJob.objects.stalled().filter(
            pk=self.pk, fence=self.fence, status=JobStatus.RUNNING
        )
        back = {"status": JobStatus.QUEUED, "deaths": F("deaths") + 1}
        return stalled.update(lease_until=None, expected_end=None, **back) == 1

    def give_up(self, status: JobStatus, **values: Any) -> bool:
        """End a job whose worker vanished; False when it moved on meanwhile."""
        stalled = TrainingJob.objects.stalled().filter(pk=self.pk, fence=self.fence)
        ended = {"status": status, "finished_at": timezone.now(), "expected_end": None}
        return stalled.update(lease_until=None, **ended, **values) == 1

    def request_cancel(self) -> JobStatus | None:
        """Cancel at once when queued, cooperatively when running; None when it is over."""
        rows = TrainingJob.objects.filter(pk=self.pk)
        if rows.filter(status=JobStatus.QUEUED).update(
            status=JobStatus.CANCELLED, finished_at=timezone.now()
        ):
            return JobStatus.CANCELLED
        if rows.filter(status__in=OPEN).update(status=JobStatus.CANCELLING):
            return JobStatus.CANCELLING
        return None


def _lease() -> timedelta:
    return timedelta(seconds=settings.TRAINING.lease_seconds)
