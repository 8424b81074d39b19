"""Retiring a model keeps its history, and is refused while it serves."""

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import ModelVersion
from tests.factories import api_client, make_model, trained_version, write_dataset

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.OPERATOR)


@pytest.fixture
def version() -> ModelVersion:
    return trained_version(make_model("fraud"))


MODEL = "/api/v1/models/fraud"


def test_a_deployed_model_can_not_be_retired(client: APIClient, version: ModelVersion) -> None:
    client.post(f"{MODEL}/deploy")
    answer = client.delete(MODEL)
    assert answer.status_code == 409
    assert "Version 1 is deployed" in answer.json()["detail"]
    assert client.get(MODEL).json()["retired_at"] is None


def test_after_undeploying_it_can(client: APIClient, version: ModelVersion) -> None:
    client.post(f"{MODEL}/deploy")
    client.post(f"{MODEL}/undeploy")
    assert client.delete(MODEL).status_code == 204


def test_a_retired_model_keeps_its_history(client: APIClient, version: ModelVersion) -> None:
    assert client.delete(MODEL).status_code == 204
    assert client.get(MODEL).json()["retired_at"] is not None
    assert client.get(f"{MODEL}/versions").json()["results"][0]["version"] == 1
    assert client.get(f"{MODEL}/training-jobs").json()["results"][0]["status"] == "succeeded"
    assert version.bundle_folder.is_dir()


def test_retiring_twice_is_retiring_once(client: APIClient) -> None:
    make_model("fraud")
    client.delete(MODEL)
    first = client.get(MODEL).json()["retired_at"]
    assert client.delete(MODEL).status_code == 204
    assert client.get(MODEL).json()["retired_at"] == first


def test_a_retired_model_takes_no_change_no_training_and_no_deployment(
    client: APIClient, version: ModelVersion
) -> None:
    client.delete(MODEL)
    dataset = {"dataset_path": write_dataset()}
    assert client.patch(MODEL, {"tier": "low"}).status_code == 409
    assert client.post(f"{MODEL}/train", dataset).status_code == 409
    assert client.post(f"{MODEL}/deploy").status_code == 409
