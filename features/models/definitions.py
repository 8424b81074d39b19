"""Definitions: entities, feature views with immutable versions, feature sets that pin versions."""

import uuid
from functools import cached_property

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from features.choices import LIVE, OnlineState, VersionStatus
from features.ml.compiler import compile_view
from features.ml.definition import View
from features.models.events import NAME_RULE, Stream
from features.querysets import (
    FeatureSetQuerySet,
    FeatureViewQuerySet,
    FeatureViewVersionQuerySet,
)


class Numbering(models.Model):
    """The highest number that a view's versions or a name's sets ever had.

    A discarded number isn't given again: people wrote `view@v2` down, and it must not come to
    mean something else.
    """

    subject = models.CharField(primary_key=True, max_length=70)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.subject}: {self.last}"

    @classmethod
    def locked(cls, kind: str, name: str) -> "Numbering":
        """The row of a view or set, held until the transaction ends: one definer at a time."""
        subject = f"{kind} {name}"
        Numbering.objects.bulk_create([Numbering(subject=subject)], ignore_conflicts=True)
        return Numbering.objects.select_for_update().get(pk=subject)

    def take(self) -> int:
        """The next number, which is then taken."""
        self.last += 1
        self.save(update_fields=["last"])
        return self.last


class Entity(models.Model):
    """What features describe: a customer, a terminal, an account."""

    name = models.CharField(max_length=60, unique=True, validators=[NAME_RULE])
    description = models.TextField(blank=True, max_length=2000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "entities"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class FeatureView(models.Model):
    """A named group of features of one entity over one stream."""

    name = models.CharField(max_length=60, unique=True, validators=[NAME_RULE])
    description = models.TextField(blank=True, max_length=2000)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="views")
    entity = models.ForeignKey(
        Entity, null=True, blank=True, on_delete=models.PROTECT, related_name="views",
        help_text="none: features of the event alone",
    )  # fmt: skip
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FeatureViewQuerySet.as_manager()

    class Meta:
        verbose_name = "feature view"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class FeatureViewVersion(models.Model):
    """One immutable definition of a view: `name@v2`."""

    is_new = False  # true of what a service just made, false of what was there

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    view = models.ForeignKey(FeatureView, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField(help_text="see features.ml.definition")
    digest = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=VersionStatus, default=VersionStatus.STAGED)
    online = models.CharField(max_length=10, choices=OnlineState, default=OnlineState.OFF)
    note = models.CharField(max_length=400, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    promoted_at = models.DateTimeField(null=True, blank=True)

    objects = FeatureViewVersionQuerySet.as_manager()

    class Meta:
        verbose_name = "feature view version"
        ordering = ("view", "-number")
        constraints = [
            models.UniqueConstraint(fields=["view", "number"], name="one_number_per_view"),
            models.UniqueConstraint(
                fields=["view"],
                condition=Q(status=VersionStatus.PROMOTED),
                name="one_promoted_version_per_view",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.view.name}@v{self.number}"

    @property
    def is_live(self) -> bool:
        return self.online in LIVE

    @cached_property
    def compiled(self) -> View:
        """The definition, ready to compute."""
        return compile_view(self.definition, self.view.stream.schema)


class FeatureSet(models.Model):
    """The pinned list of features that a model version uses: `name@v1`. Never changed."""

    is_new = False  # true of what a service just made, false of what was there

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=60, validators=[NAME_RULE])
    number = models.PositiveIntegerField()
    description = models.TextField(blank=True, max_length=2000)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="feature_sets")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    objects = FeatureSetQuerySet.as_manager()

    class Meta:
        verbose_name = "feature set"
        ordering = ("name", "-number")
        constraints = [
            models.UniqueConstraint(fields=["name", "number"], name="one_number_per_feature_set"),
        ]

    def __str__(self) -> str:
        return f"{self.name}@v{self.number}"


class FeatureSetMember(models.Model):
    """The features that a set takes from one view version, in their order."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="members")
    version = models.ForeignKey(
        FeatureViewVersion, on_delete=models.PROTECT, related_name="memberships"
    )
    position = models.PositiveSmallIntegerField()
    names = ArrayField(models.CharField(max_length=60))

    class Meta:
        ordering = ("feature_set", "position")
        constraints = [
            models.UniqueConstraint(
                fields=["feature_set", "version"], name="one_membership_per_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feature_set}: {self.version}"
