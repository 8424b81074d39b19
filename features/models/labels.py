"""Labels: what an event turned out to be, as told by whom, when. Append-only."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from features.choices import Disposition, LabelSource
from features.models.events import Stream
from features.querysets import LabelQuerySet


class Label(models.Model):
    """One statement about an event. A reversal takes an earlier statement back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.PROTECT, related_name="labels"
    )
    event_id = models.CharField(max_length=100, blank=True)
    prediction_id = models.UUIDField(null=True, blank=True, db_index=True)
    source = models.CharField(max_length=12, choices=LabelSource)
    disposition = models.CharField(max_length=16, choices=Disposition)
    reverses = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversal"
    )
    comment = models.CharField(max_length=400, blank=True)
    known_time = models.DateTimeField(default=timezone.now, help_text="when the platform knew it")
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    # the caller's own id of the statement: the same one twice is one label
    external_id = models.CharField(max_length=100, blank=True)

    objects = LabelQuerySet.as_manager()

    class Meta:
        ordering = ("-known_time",)
        indexes = [models.Index(fields=["stream", "event_id"], name="label_by_event")]
        constraints = [
            models.CheckConstraint(
                condition=Q(prediction_id__isnull=False) | ~Q(event_id=""),
                name="label_is_about_something",
            ),
            models.CheckConstraint(
                condition=Q(source__in=LabelSource.values) & Q(disposition__in=Disposition.values),
                name="label_words_are_known",
            ),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=~Q(external_id=""),
                name="one_label_per_external_id",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_disposition_display()} ({self.get_source_display().lower()})"


class PredictionEvent(models.Model):
    """Which event a prediction was about; the prediction log, which stands above, writes it."""

    prediction_id = models.UUIDField(primary_key=True, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="+")
    event_id = models.CharField(max_length=100)

    class Meta:
        indexes = [models.Index(fields=["stream", "event_id"], name="prediction_by_event")]

    def __str__(self) -> str:
        return f"{self.prediction_id}: {self.event_id}"
