"""The vocabulary of the feature store."""

from django.db import models


class Policy(models.TextChoices):
    """What happens to a row that breaks a rule which may be broken."""

    STRICT = "strict", "Strict: reject the row"
    WARN = "warn", "Warn: keep the row, count it"


class VersionStatus(models.TextChoices):
    STAGED = "staged", "Staged"
    PROMOTED = "promoted", "Promoted"
    SUPERSEDED = "superseded", "Superseded"


class OnlineState(models.TextChoices):
    """Whether a view version is computed online: live ones are fed by each event."""

    OFF = "off", "Off"
    BUILDING = "building", "Building"
    READY = "ready", "Ready"


class RunStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


class LabelSource(models.TextChoices):
    """Who says so, the strongest first (`PRECEDENCE`)."""

    CHARGEBACK = "chargeback", "Chargeback"
    SAR = "sar", "Suspicious activity report"
    ANALYST = "analyst", "Analyst"
    CUSTOMER = "customer", "Customer"


class Disposition(models.TextChoices):
    """A valuable alert was worth the look and is not fraud."""

    CONFIRMED_RISK = "confirmed_risk", "Confirmed risk"
    VALUABLE_ALERT = "valuable_alert", "Valuable alert"
    FALSE_POSITIVE = "false_positive", "False positive"


class FeatureStatus(models.TextChoices):
    """What there is to say of a value that was read (see `features.ml.recent.Value`)."""

    PRESENT = "PRESENT", "Present"
    NULL = "NULL", "Null"
    NOT_FOUND = "NOT_FOUND", "Not found"
    EXPIRED = "EXPIRED", "Expired"


LIVE = (OnlineState.BUILDING, OnlineState.READY)
OPEN_RUN = (RunStatus.QUEUED, RunStatus.RUNNING)
# A stronger source's word stands against a weaker one's, whenever it came.
PRECEDENCE = {
    LabelSource.CHARGEBACK: 4, LabelSource.SAR: 3, LabelSource.ANALYST: 2, LabelSource.CUSTOMER: 1,
}  # fmt: skip
