from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import ModelVersion, RegisteredModel
from tests.factories import api_client, make_model
from training import jobs
from training.models import TrainingJob


@pytest.fixture(autouse=True)
def _folders_of_each_test(own_folders: Path) -> None:
    """No test sees another's files."""


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def model(db: None) -> RegisteredModel:
    return make_model("fraud")


@pytest.fixture
def train(client: APIClient, model: RegisteredModel) -> Callable[..., TrainingJob]:
    """Ask for a training of `fraud` through the API and let a worker do it."""

    def run(dataset: str, **parameters: Any) -> TrainingJob:
        body = {"dataset_path": dataset, "parameters": parameters}
        answer = client.post("/api/v1/models/fraud/train", body)
        assert answer.status_code == 202, answer.text
        jobs.train(answer.json()["id"])
        return TrainingJob.objects.get(pk=answer.json()["id"])

    return run


@pytest.fixture
def nothing_left() -> Callable[[], bool]:
    """Whether neither a version nor any file of a bundle is there."""

    def look() -> bool:
        root = Path(django_settings.ARTIFACT_ROOT)
        files = [path for path in root.rglob("*") if path.is_file()] if root.exists() else []
        return not files and not ModelVersion.objects.exists()

    return look
