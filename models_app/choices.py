"""The vocabulary of the registry."""

from django.db import models


class Algorithm(models.TextChoices):
    XGBOOST = "xgboost", "XGBoost"
    RANDOM_FOREST = "random_forest", "Random forest"
    NEURAL_NETWORK = "neural_network", "Neural network"
    LSTM = "lstm", "LSTM"
    LOGISTIC_REGRESSION = "logistic_regression", "Logistic regression"
    ISOLATION_FOREST = "isolation_forest", "Isolation forest"
    ENSEMBLE = "ensemble", "Ensemble"


# of a version that was imported: nobody here knows how it was trained
EXTERNAL = "external"
VERSION_ALGORITHMS = [*Algorithm.choices, (EXTERNAL, "External")]


class Tier(models.TextChoices):
    """How much harm a wrong model can do; stricter gates for the higher tiers."""

    LOW = "low", "Low risk"
    MEDIUM = "medium", "Medium risk"
    HIGH = "high", "High risk"


class AliasName(models.TextChoices):
    CHAMPION = "champion", "Champion"
    CHALLENGER = "challenger", "Challenger"
    SHADOW = "shadow", "Shadow"
