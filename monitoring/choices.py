"""The vocabulary of health."""

from django.db import models


class ComponentState(models.TextChoices):
    OK = "ok", "OK"
    DEGRADED = "degraded", "Degraded"
    DOWN = "down", "Down"


class ModelState(models.TextChoices):
    OK = "ok", "OK"
    WARNING = "warning", "Warning"
    NOT_EVALUABLE = "not_evaluable", "Not evaluable"
