"""The list of models: newest first, in pages, narrowed by filters."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.services import registry
from tests.factories import api_client, make_model, make_user, trained_version

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.VIEWER)


def names(client: APIClient, query: str = "") -> list[str]:
    return [model["name"] for model in client.get(f"{MODELS}?{query}").json()["results"]]


def test_the_newest_comes_first(client: APIClient) -> None:
    for name in ("first", "second", "third"):
        make_model(name)
    assert names(client) == ["third", "second", "first"]


def test_pages_follow_each_other_without_gap_or_overlap(client: APIClient) -> None:
    for i in range(5):
        make_model(f"model-{i}")
    page = client.get(f"{MODELS}?page_size=2").json()
    seen = [model["name"] for model in page["results"]]
    make_model("newcomer")  # must not shift what follows
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [model["name"] for model in page["results"]]
    assert seen == [f"model-{i}" for i in reversed(range(5))]


def test_a_page_holds_at_most_500(client: APIClient) -> None:
    make_model("fraud")
    assert client.get(f"{MODELS}?page_size=1000000").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=EU", ["cards-eu"]),
        ("name=cards", ["cards-us", "cards-eu"]),
        ("tier=high", ["cards-eu"]),
        ("tag=us", ["cards-us"]),
        ("tag=u", []),
        ("algorithm=xgboost&tier=low", ["cards-us"]),
        ("retired=true", ["wires"]),
        ("retired=false", ["cards-us", "cards-eu"]),
    ],
)
def test_the_list_can_be_narrowed(client: APIClient, query: str, found: list[str]) -> None:
    owner = make_user(roles.OPERATOR)
    registry.retire_model(model=make_model("wires", owner=owner), actor=owner)
    make_model("cards-eu", tier="high", tags=["eu", "cards"])
    make_model("cards-us", tier="low", tags=["us", "cards"])
    assert names(client, query) == found


@pytest.mark.parametrize("query", ["tier=extreme", "algorithm=lightgbm"])
def test_an_unknown_choice_is_refused_by_name(client: APIClient, query: str) -> None:
    answer = client.get(f"{MODELS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_longer_list_costs_no_more_queries(client: APIClient) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(MODELS)
        return len(captured)

    trained_version()
    queries()  # the token is verified at first sight
    few = queries()
    for _ in range(4):
        trained_version()
    assert queries() == few
