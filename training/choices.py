"""The life of a training job, and of a study with its trials."""

from django.db import models


class JobStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"  # the data or the request is wrong
    ERRORED = "errored", "Errored"  # ours is: a bug, a full disk, a database that is away
    LEAK_SUSPECTED = "leak_suspected", "Leak suspected"  # done, and too good to be true


class Priority(models.IntegerChoices):
    """Which queued job is taken next; the oldest among equals."""

    LOW = 1, "Low"
    NORMAL = 2, "Normal"
    HIGH = 3, "High"

    @property
    def word(self) -> str:
        return self.name.lower()


ACTIVE = (JobStatus.RUNNING, JobStatus.CANCELLING)
OPEN = (JobStatus.QUEUED, *ACTIVE)
FINISHED = (
    JobStatus.CANCELLED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.ERRORED,
    JobStatus.LEAK_SUSPECTED,
)  # fmt: skip
PRIORITIES = {priority.word: priority for priority in Priority}


class StudyStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    SUCCEEDED = "succeeded", "Succeeded"  # a version came of it
    FAILED = "failed", "Failed"  # no trial could be made, or the best one not be trained
    ERRORED = "errored", "Errored"  # ours is the fault


class Phase(models.TextChoices):
    """What a running study is at."""

    SEARCH = "search", "Searching"
    TRAIN = "train", "Training the best"
    JOIN = "join", "Joining the best"


class TrialStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    PRUNED = "pruned", "Pruned"  # given up early: others were better when they were as far
    CANCELLED = "cancelled", "Cancelled"  # with its study, or because its time was up
    FAILED = "failed", "Failed"


class Metric(models.TextChoices):
    """What a study looks for the best of, on validation rows."""

    AVERAGE_PRECISION = "average_precision", "Average precision"
    AUROC = "auroc", "AUROC"
    CARD_PRECISION = "card_precision_at_100", "Card precision@100"


class Sampler(models.TextChoices):
    TPE = "tpe", "TPE"
    RANDOM = "random", "Random"


class Pruner(models.TextChoices):
    MEDIAN = "median", "Median"
    HYPERBAND = "hyperband", "Hyperband"
    NONE = "none", "None"


OPEN_STUDIES = (StudyStatus.QUEUED, StudyStatus.RUNNING, StudyStatus.CANCELLING)
OPEN_TRIALS = (TrialStatus.QUEUED, TrialStatus.RUNNING)
