"""The admin of training jobs."""

from training.admin import jobs

__all__ = ["jobs"]
