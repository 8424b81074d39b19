"""Deployments, the log of predictions, and how far the journal was shipped into it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from inference.choices import Decision, DeploymentStatus
from inference.querysets import DeploymentQuerySet, PredictionQuerySet
from models_app.models import ModelVersion, RegisteredModel


class Deployment(models.Model):
    """A period in which one version answered for a model."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="deployments")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    status = models.CharField(
        max_length=12, choices=DeploymentStatus, default=DeploymentStatus.ACTIVE
    )
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(status=DeploymentStatus.ACTIVE),
                name="one_active_deployment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} ({self.get_status_display().lower()})"


class Prediction(models.Model):
    """One answer that left the platform. The table is partitioned by day (see its migration);
    rows come from the journal only and are never changed."""

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField()
    model = models.ForeignKey(
        RegisteredModel,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    version = models.ForeignKey(
        ModelVersion, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False,
        db_index=False,
    )  # fmt: skip
    arm = models.CharField(max_length=50)
    features = models.JSONField()
    context = models.JSONField(
        null=True, blank=True, help_text="of a raw event: it, and where its features are from"
    )
    score = models.FloatField()
    threshold = models.FloatField()
    decision = models.CharField(max_length=10, choices=Decision)
    latency_us = models.PositiveIntegerField()
    caller = models.CharField(max_length=150)
    request_id = models.CharField(max_length=100)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["model", "-created_at"], name="prediction_by_model"),
            models.Index(fields=["-created_at"], name="prediction_by_time"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class JournalSegment(models.Model):
    """How many bytes of a journal file are in the prediction table."""

    name = models.CharField(primary_key=True, max_length=200)
    shipped_bytes = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
