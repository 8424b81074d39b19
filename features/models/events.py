"""Streams of raw events and their log.

An event is one row of `EventKey` for ever, which makes it count once. Its
fields lie in `HotEvent` until they are sealed into a Parquet file that an
`EventSegment` names; both change in one transaction, so an event's fields are
always in exactly one place.
"""

import uuid
from functools import cached_property

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from features.choices import Policy, RunStatus
from features.ml.schema import Schema
from features.querysets import StreamQuerySet

NAME_RULE = RegexValidator(
    r"^[a-z][a-z0-9_]{1,59}$",
    "must start with a small letter and hold 2 to 60 small letters, digits or '_'",
)


class Stream(models.Model):
    """A named kind of event: its fields, and which of them are id, times, keys and label."""

    name = models.CharField(max_length=60, unique=True, validators=[NAME_RULE])
    description = models.TextField(blank=True, max_length=2000)
    definition = models.JSONField(help_text="the schema, see features.ml.schema")
    policy = models.CharField(max_length=10, choices=Policy, default=Policy.STRICT)
    label_delay_days = models.FloatField(
        default=7, help_text="days after which an event without a label counts as genuine"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = StreamQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(policy__in=Policy.values), name="stream_policy_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def schema(self) -> Schema:
        return Schema.from_json(self.definition)


class EventKey(models.Model):
    """That an event is in the log. `digest` is of its fields, `keys` are its entities' values
    in the order of the schema's `entities`."""

    pk = models.CompositePrimaryKey("stream_id", "event_id")
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="+", db_index=False)
    event_id = models.CharField(max_length=100)
    digest = models.BinaryField(max_length=16)
    event_time = models.DateTimeField()
    known_time = models.DateTimeField()
    seq = models.BigIntegerField()
    keys = ArrayField(models.TextField(null=True))

    def __str__(self) -> str:
        return self.event_id


class HotEvent(models.Model):
    """An event that is not sealed yet. `seq` is the order of arrival."""

    seq = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="+", db_index=False)
    event_id = models.CharField(max_length=100)
    event_time = models.DateTimeField()
    known_time = models.DateTimeField()
    payload = models.JSONField()
    is_online = models.BooleanField(
        default=False, help_text="the online store has it, or needs no part of it"
    )

    class Meta:
        indexes = [
            models.Index(fields=["stream", "seq"], name="hot_event_by_stream"),
            models.Index(
                fields=["stream", "seq"],
                condition=models.Q(is_online=False),
                name="hot_event_not_online",
            ),
        ]

    def __str__(self) -> str:
        return self.event_id


class EventSegment(models.Model):
    """A sealed Parquet file of one stream and one day (UTC) of event time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="segments")
    day = models.DateField()
    path = models.CharField(max_length=200, unique=True, help_text="below the feature root")
    rows = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    min_event_time = models.DateTimeField()
    max_event_time = models.DateTimeField()
    max_known_time = models.DateTimeField()
    max_seq = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("stream", "day", "created_at")
        indexes = [models.Index(fields=["stream", "day"], name="segment_by_day")]

    def __str__(self) -> str:
        return self.path


class IngestFile(models.Model):
    """How far a file was read into a stream, so that a killed command goes on where it was."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="files")
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=500)
    history = models.BooleanField(default=False)
    status = models.CharField(max_length=12, choices=RunStatus, default=RunStatus.RUNNING)
    rows_read = models.PositiveBigIntegerField(default=0)
    accepted = models.PositiveBigIntegerField(default=0)
    duplicates = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    quarantine_path = models.CharField(max_length=500, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "ingested file"
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "sha256", "history"], name="one_ingest_per_file"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} into {self.stream}"


class QuarantinedRow(models.Model):
    """A row that was not taken, as it came, with the reasons."""

    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="quarantine")
    source = models.CharField(max_length=500, help_text="'api', or the file's name")
    line = models.PositiveBigIntegerField(
        help_text="the row's number in its request or file, from 0"
    )
    event_id = models.CharField(max_length=100, blank=True)
    reasons = models.JSONField(help_text="a list of {field, rule, message}")
    raw = models.TextField(help_text="the row as JSON, cut off at 10,000 characters")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "quarantined row"
        ordering = ("-created_at", "-pk")
        indexes = [models.Index(fields=["stream", "-created_at"], name="quarantine_by_stream")]

    def __str__(self) -> str:
        return f"{self.source} row {self.line}"


class RuleCount(models.Model):
    """How often a rule of a stream was broken on a day; rule "rows" counts what was checked."""

    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="rule_counts")
    day = models.DateField(help_text="of arrival, UTC")
    rule = models.CharField(max_length=30)
    field = models.CharField(max_length=100, blank=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ("stream", "-day", "rule", "field")
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "day", "rule", "field"], name="one_count_per_rule_and_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.day} {self.rule} {self.field}"
