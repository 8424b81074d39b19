"""The life of a training job."""

from django.db import models


class JobStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


ACTIVE = (JobStatus.RUNNING, JobStatus.CANCELLING)
OPEN = (JobStatus.QUEUED, *ACTIVE)
FINISHED = (JobStatus.CANCELLED, JobStatus.SUCCEEDED, JobStatus.FAILED)
