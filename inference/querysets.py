"""Reads of deployments and predictions, in domain words."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models

from aegisml.base import ids
from inference.choices import DeploymentStatus

if TYPE_CHECKING:
    from inference.models import Deployment, Prediction  # noqa: F401 - named in a base class

# The id's own clock and the row's may differ by this much at most.
CLOCK_SLACK = timedelta(hours=1)


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def active(self) -> "DeploymentQuerySet":
        return self.filter(status=DeploymentStatus.ACTIVE)


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def find(self, identifier: UUID) -> "Prediction | None":
        """One prediction. Its id tells the time, so only that day's partition is read."""
        moment = ids.time_of(identifier)
        if moment is None:
            return None
        near = (moment - CLOCK_SLACK, moment + CLOCK_SLACK)
        return self.filter(pk=identifier, created_at__range=near).first()

    def of_model(self, model_id: UUID, *, since: datetime) -> "PredictionQuerySet":
        return self.filter(model_id=model_id, created_at__gte=since)
