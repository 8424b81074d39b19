"""The registry's rows: models, their versions, and the names that point at versions."""

import uuid
from pathlib import Path

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from features.models import FeatureSet
from models_app.choices import VERSION_ALGORITHMS, Algorithm, AliasName, Tier
from models_app.querysets import ModelVersionQuerySet, RegisteredModelQuerySet

NAME_RULE = RegexValidator(
    r"^[a-z][a-z0-9_.-]{1,99}$",
    "must start with a small letter and hold 2 to 100 small letters, digits, '_', '.' or '-'",
)


class RegisteredModel(models.Model):
    """A named model: what it is for, how it is trained, and who answers for it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True, validators=[NAME_RULE])
    description = models.TextField(blank=True, max_length=5000)
    algorithm = models.CharField(max_length=40, choices=Algorithm, default=Algorithm.XGBOOST)
    parameters = models.JSONField(default=dict, blank=True)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=20)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_models"
    )
    tier = models.CharField(max_length=10, choices=Tier, default=Tier.MEDIUM)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        verbose_name = "model"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_retired(self) -> bool:
        return self.retired_at is not None


class ModelVersion(models.Model):
    """One trained result of a model: an immutable bundle of files and the evidence about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    algorithm = models.CharField(max_length=40, choices=VERSION_ALGORITHMS)
    parameters = models.JSONField()
    metrics = models.JSONField()
    signature = models.JSONField()
    lineage = models.JSONField()
    # what it was trained on and is served from; none: its callers bring the features
    feature_set = models.ForeignKey(
        FeatureSet, null=True, blank=True, on_delete=models.PROTECT, related_name="model_versions"
    )
    bundle_path = models.CharField(max_length=200)
    bundle_digest = models.CharField(max_length=64)
    # text, not a key: training stands above the registry; "import-..." of what came from outside
    training_job = models.CharField(max_length=36, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        verbose_name = "model version"
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="one_number_per_model"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    @property
    def is_imported(self) -> bool:
        return "imported" in self.lineage

    @property
    def bundle_folder(self) -> Path:
        return Path(settings.ARTIFACT_ROOT) / self.bundle_path


class Alias(models.Model):
    """A name that points at one version of a model: champion, challenger or shadow."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=20, choices=AliasName)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ("model", "name")
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="one_version_per_alias"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"
