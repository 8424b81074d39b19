"""The rows of training."""

from training.models.jobs import LOG_LIMIT, MAX_KEY, TrainingJob
from training.models.studies import MAX_TRIALS, Study
from training.models.trials import Trial

__all__ = ["LOG_LIMIT", "MAX_KEY", "MAX_TRIALS", "Study", "TrainingJob", "Trial"]
