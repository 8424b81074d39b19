"""The vocabulary of the registry."""

from django.db import models


class Algorithm(models.TextChoices):
    XGBOOST = "xgboost", "XGBoost"


class Tier(models.TextChoices):
    """How much harm a wrong model can do; stricter gates for the higher tiers."""

    LOW = "low", "Low risk"
    MEDIUM = "medium", "Medium risk"
    HIGH = "high", "High risk"


class AliasName(models.TextChoices):
    CHAMPION = "champion", "Champion"
    CHALLENGER = "challenger", "Challenger"
    SHADOW = "shadow", "Shadow"
