"""Every refusal is a problem+json of one shape, with the request's id and nothing of ours."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from aegisml.config import BASE_DIR
from models_app.services import registry
from monitoring.api import probes
from tests.factories import api_client, make_model

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"
NEW = {"name": "fraud", "algorithm": "xgboost"}
INSIDE = re.compile(rf"{BASE_DIR}|Traceback|File \"|/usr|\.py\b|psycopg|SELECT |django|hunter2")


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.ADMIN)


def conflict(client: APIClient, settings: Any) -> HttpResponse:
    client.post(MODELS, NEW)
    return client.post(MODELS, NEW)


def too_large(client: APIClient, settings: Any) -> HttpResponse:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    return client.post(MODELS, NEW)


def throttled(client: APIClient, settings: Any) -> HttpResponse:
    wrong = {"username": "ada", "password": "guess"}
    return [Client().post("/api/v1/auth/token", wrong, "application/json") for _ in range(6)][-1]


def not_ready(client: APIClient, settings: Any) -> HttpResponse:
    return client.post(f"{MODELS}/{make_model().pk}/predict", {"features": {}})


REFUSALS: dict[int, Callable[[APIClient, Any], HttpResponse]] = {
    400: lambda client, settings: client.post(MODELS, {}),
    401: lambda client, settings: Client().get(MODELS),
    403: lambda client, settings: api_client(roles.VIEWER).post(MODELS, NEW),
    404: lambda client, settings: client.get(f"{MODELS}/nothing"),
    405: lambda client, settings: client.delete(MODELS),
    409: conflict,
    413: too_large,
    415: lambda client, settings: client.post(MODELS, "name=x", content_type="text/plain"),
    429: throttled,
    503: not_ready,
}


@pytest.mark.parametrize("code", REFUSALS)
def test_each_refusal_has_the_shape_of_a_problem(
    client: APIClient, settings: Any, code: int
) -> None:
    answer = REFUSALS[code](client, settings)
    assert answer.status_code == code
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == code
    assert body["request_id"] == answer["X-Request-Id"]
    assert not INSIDE.search(answer.text)


@pytest.mark.parametrize("code", [429, 503])
def test_what_may_work_later_says_when(client: APIClient, settings: Any, code: int) -> None:
    assert int(REFUSALS[code](client, settings)["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1/models/", "/api"])
def test_an_unknown_address_is_a_problem_too(client: APIClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_a_foreign_host_is_refused_as_a_problem() -> None:
    answer = Client().get("/api/v1/auth/me", headers={"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def broken(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("password=hunter2 in /usr/lib/secret.py")


def test_a_bug_in_a_service_shows_nothing_of_itself(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "create_model", broken)
    answer = client.post(MODELS, NEW)
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer["X-Request-Id"]
    assert not INSIDE.search(answer.text)


def test_a_bug_outside_the_api_framework_is_a_problem_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes.components, "readiness", broken)
    answer = Client(raise_request_exception=False).get("/readyz")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer["X-Request-Id"]
    assert not INSIDE.search(answer.text)


def test_an_unreachable_database_is_not_ready(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(**kwargs: Any) -> None:
        raise OperationalError("connection to 10.1.2.3 refused, password=hunter2")

    monkeypatch.setattr(registry, "create_model", unreachable)
    answer = client.post(MODELS, NEW)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert not INSIDE.search(answer.text)
