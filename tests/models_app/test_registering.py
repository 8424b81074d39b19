"""Registering a model: what is asked for, and what is refused by name."""

from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests.factories import api_client, make_user

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"


@pytest.fixture
def client() -> APIClient:
    return api_client(make_user(roles.DATA_SCIENTIST, username="ada"))


def register(client: APIClient, **fields: Any) -> HttpResponse:
    return client.post(MODELS, {"name": "fraud", "algorithm": "xgboost", **fields})


def refused_fields(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 400, answer.text
    assert not RegisteredModel.objects.exists()
    return [error["field"] for error in answer.json()["errors"]]


def test_a_model_is_registered_with_everything_that_was_said(client: APIClient) -> None:
    make_user(roles.OPERATOR, username="olga")
    wanted = {
        "name": "fraud_detection_v1",
        "description": "Cards, Europe. Ünïcode 💳",
        "algorithm": "xgboost",
        "parameters": {"max_depth": 6, "learning_rate": 0.1, "n_estimators": 100},
        "tags": ["eu", "cards"],
        "owner": "olga",
        "tier": "high",
    }
    answer = client.post(MODELS, wanted)
    assert answer.status_code == 201
    assert answer.json() | wanted == answer.json()
    assert client.get(answer["Location"]).json() == answer.json()


def test_what_is_not_said_gets_defaults_and_the_caller_is_the_owner(client: APIClient) -> None:
    body = register(client).json()
    assert (body["owner"], body["tier"], body["tags"]) == ("ada", "medium", [])
    assert (body["parameters"], body["newest_version"], body["aliases"]) == ({}, None, {})


def test_a_model_is_found_by_id_and_by_name(client: APIClient) -> None:
    body = register(client).json()
    assert client.get(f"{MODELS}/{body['id']}").json() == body
    assert client.get(f"{MODELS}/fraud").json() == body


def test_a_name_is_taken_once(client: APIClient) -> None:
    register(client)
    answer = register(client)
    assert answer.status_code == 409
    assert "'fraud'" in answer.json()["detail"]


def test_the_name_of_a_retired_model_stays_taken(client: APIClient) -> None:
    register(client)
    api_client(roles.OPERATOR).delete(f"{MODELS}/fraud")
    assert register(client).status_code == 409


@pytest.mark.parametrize(
    "name",
    ["", "x", "Fraud", "1fraud", "a b", "a/b", "-a", "a" * 101, "frаud", "a\n", None, 7, ["a"]],
)
def test_a_name_is_plain_and_short(client: APIClient, name: Any) -> None:
    assert refused_fields(register(client, name=name)) == ["name"]


@pytest.mark.parametrize("algorithm", ["lightgbm", "svm", "XGBoost", "", None, "a" * 50])
def test_an_algorithm_that_is_not_there_is_refused(client: APIClient, algorithm: Any) -> None:
    assert refused_fields(register(client, algorithm=algorithm)) == ["algorithm"]


def test_an_unknown_algorithm_is_told_the_known_ones(client: APIClient) -> None:
    assert "xgboost" in register(client, algorithm="lightgbm").json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 3), ("max_depth", 0), ("max_depth", 17), ("max_depth", 2.5), ("max_depth", "6"),
        ("max_depth", True), ("max_depth", None), ("max_depth", [6]), ("max_depth", 2**70),
        ("learning_rate", 0), ("learning_rate", 1.01), ("n_estimators", -1), ("subsample", 0),
        ("objective", "reg:squarederror"), ("nthread", 64), ("__class__", 1), ("", 1),
    ],
)  # fmt: skip
def test_an_unknown_or_out_of_range_parameter_is_named(
    client: APIClient, name: str, value: Any
) -> None:
    answer = register(client, parameters={"max_bin": 256, name: value})
    assert refused_fields(answer) == [f"parameters.{name}"]


def test_every_wrong_parameter_is_named_at_once(client: APIClient) -> None:
    answer = register(client, parameters={"depth": 3, "max_depth": 99, "gamma": 1})
    assert refused_fields(answer) == ["parameters.depth", "parameters.max_depth"]


@pytest.mark.parametrize("parameters", [[], "max_depth=3", 1, None])
def test_parameters_are_an_object(client: APIClient, parameters: Any) -> None:
    assert refused_fields(register(client, parameters=parameters)) == ["parameters"]


def test_whole_numbers_stay_whole(client: APIClient) -> None:
    parameters = register(client, parameters={"max_depth": 6.0, "learning_rate": 1}).json()[
        "parameters"
    ]
    assert parameters == {"max_depth": 6, "learning_rate": 1.0}


@pytest.mark.parametrize(
    "name",
    ["id", "created_at", "updated_at", "retired_at", "newest_version", "aliases", "owner_id",
     "is_staff", "created_by", "approved", "stage", "versions"],
)  # fmt: skip
def test_a_field_that_is_not_the_caller_s_to_set_is_refused_by_name(
    client: APIClient, name: str
) -> None:
    assert refused_fields(register(client, **{name: 1})) == [name]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tier", "extreme"), ("tier", None), ("owner", "nobody"), ("owner", 1), ("owner", None),
        ("tags", "eu"), ("tags", ["x" * 51]), ("tags", ["x"] * 21), ("description", "x" * 5001),
        ("description", None), ("description", {}),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_field(client: APIClient, field: str, value: Any) -> None:
    fields = refused_fields(register(client, **{field: value}))
    assert {name.partition(".")[0] for name in fields} == {field}


def test_somebody_who_left_can_not_become_the_owner(client: APIClient) -> None:
    gone = make_user(roles.OPERATOR, username="gone")
    gone.is_active = False
    gone.save()
    assert refused_fields(register(client, owner="gone")) == ["owner"]


def test_an_algorithm_that_is_switched_off_is_not_there(client: APIClient, settings: Any) -> None:
    off = settings.TRAINING.algorithms.xgboost.model_copy(update={"enabled": False})
    algorithms = settings.TRAINING.algorithms.model_copy(update={"xgboost": off})
    settings.TRAINING = settings.TRAINING.model_copy(update={"algorithms": algorithms})
    assert refused_fields(register(client)) == ["algorithm"]
