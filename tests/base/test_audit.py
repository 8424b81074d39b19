"""Every change is on the History page: who, what, in the same transaction."""

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from inference.models import Deployment
from tests.factories import api_client, make_user, trained_version, write_dataset

pytestmark = pytest.mark.django_db
MODEL = {"name": "fraud", "algorithm": "xgboost"}


@pytest.fixture
def client() -> APIClient:
    return api_client(make_user(roles.OPERATOR, username="olga"))


def history() -> list[tuple[str, int, str, str]]:
    entries = LogEntry.objects.order_by("pk").select_related("user", "content_type")
    return [
        (e.user.username, e.action_flag, e.content_type.model, e.change_message) for e in entries
    ]


def test_registering_changing_and_retiring_a_model_are_in_its_history(client: APIClient) -> None:
    client.post("/api/v1/models", MODEL)
    client.patch("/api/v1/models/fraud", {"tier": "high", "tags": ["eu"]})
    client.delete("/api/v1/models/fraud")
    assert history() == [
        ("olga", ADDITION, "registeredmodel", "Registered model fraud."),
        ("olga", CHANGE, "registeredmodel", "Changed tags, tier."),
        ("olga", DELETION, "registeredmodel", "Retired."),
    ]


def test_a_change_that_changes_nothing_is_not_in_the_history(client: APIClient) -> None:
    client.post("/api/v1/models", MODEL)
    client.patch("/api/v1/models/fraud", {"tier": "medium"})
    assert len(history()) == 1


def test_a_refused_change_leaves_no_history(client: APIClient) -> None:
    client.post("/api/v1/models", MODEL)
    assert client.post("/api/v1/models", MODEL).status_code == 409
    assert client.patch("/api/v1/models/fraud", {"parameters": {"depth": 1}}).status_code == 400
    assert len(history()) == 1


def test_training_and_cancelling_are_in_the_job_s_history(client: APIClient) -> None:
    client.post("/api/v1/models", MODEL)
    body = {"dataset_path": write_dataset("payments.csv")}
    job = client.post("/api/v1/models/fraud/train", body).json()
    client.post(f"/api/v1/models/fraud/training-jobs/{job['id']}/cancel")
    assert history()[1:] == [
        ("olga", ADDITION, "trainingjob", "Queued on payments.csv: requested."),
        ("olga", CHANGE, "trainingjob", "Cancel requested."),
    ]


def test_putting_a_version_into_production_says_who_and_why(client: APIClient) -> None:
    version = trained_version()
    LogEntry.objects.all().delete()
    client.post(f"/api/v1/models/{version.model_id}/deploy", {"reason": "better recall"})
    assert Deployment.objects.get().created_by.username == "olga"
    assert history() == [
        ("olga", CHANGE, "registeredmodel",
         "Alias champion moved from nothing to v1. better recall"),
        ("olga", ADDITION, "deployment", "Deployed version 1. better recall"),
    ]  # fmt: skip
