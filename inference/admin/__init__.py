"""The admin of deployments and predictions."""

from inference.admin import deployments, predictions

__all__ = ["deployments", "predictions"]
