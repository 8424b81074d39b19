"""Changing a model, and what can't be changed any more."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests.factories import api_client, make_model, trained_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def model() -> RegisteredModel:
    return make_model("fraud", description="old", tags=["eu"], tier="high")


@pytest.fixture
def url(model: RegisteredModel) -> str:
    return f"/api/v1/models/{model.pk}"


def test_patching_changes_what_is_said_and_nothing_else(client: APIClient, url: str) -> None:
    before = client.get(url).json()
    after = client.patch(url, {"description": "new"}).json()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"description", "updated_at"}


def test_putting_returns_what_is_left_out_to_its_default(client: APIClient, url: str) -> None:
    body = client.put(url, {"name": "fraud", "algorithm": "xgboost"}).json()
    assert (body["description"], body["parameters"], body["tags"], body["tier"]) == (
        "", {}, [], "medium",
    )  # fmt: skip


def test_putting_needs_name_and_algorithm(client: APIClient, url: str) -> None:
    answer = client.put(url, {"tier": "low"})
    assert [error["field"] for error in answer.json()["errors"]] == ["name", "algorithm"]


def test_a_model_without_a_version_can_be_renamed(client: APIClient, url: str) -> None:
    assert client.patch(url, {"name": "fraud-eu"}).json()["name"] == "fraud-eu"
    assert client.get("/api/v1/models/fraud").status_code == 404


def test_a_name_that_another_model_has_is_a_conflict(client: APIClient, url: str) -> None:
    make_model("other")
    assert client.patch(url, {"name": "other"}).status_code == 409


def test_the_name_is_fixed_once_a_version_was_trained(
    client: APIClient, model: RegisteredModel, url: str
) -> None:
    trained_version(model)
    answer = client.patch(url, {"name": "fraud-eu"})
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("name: ")
    assert client.patch(url, {"tier": "low", "name": "fraud"}).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parameters": {"max_depth": 99}}, "parameters.max_depth"),
        ({"algorithm": "lightgbm"}, "algorithm"),
        ({"retired_at": None}, "retired_at"),
        ({"tier": "extreme"}, "tier"),
    ],
)
def test_a_bad_change_names_its_field_and_changes_nothing(
    client: APIClient, url: str, change: dict[str, Any], field: str
) -> None:
    before = client.get(url).json()
    answer = client.patch(url, {"description": "new", **change})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert client.get(url).json() == before


def test_a_version_keeps_the_parameters_that_it_was_trained_with(
    client: APIClient, model: RegisteredModel, url: str
) -> None:
    trained_version(model)
    client.patch(url, {"parameters": {"max_depth": 9}})
    version = client.get(f"{url}/versions/1").json()
    assert version["parameters"]["max_depth"] == 3


def test_two_empty_changes_leave_one_truth(client: APIClient, url: str) -> None:
    assert client.patch(url, {}).status_code == 200
    assert client.patch(url, []).status_code == 400
