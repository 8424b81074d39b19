"""The admin of training jobs and studies."""

from training.admin import jobs, studies

__all__ = ["jobs", "studies"]
