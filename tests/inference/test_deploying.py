"""Putting versions into production and taking them out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from aegisml.base.auth import roles
from inference.choices import DeploymentStatus
from inference.fleet import fleet
from inference.models import Deployment
from tests.factories import make_model, trained_version

Post = Callable[..., Any]


@pytest.fixture
def post(client: Any, bearer: Any) -> Post:
    headers = bearer(roles.OPERATOR)

    def send(model: Any, verb: str, body: Any = None) -> Any:
        address = f"/api/v1/models/{model.name}/{verb}"
        return client.post(address, body or {}, content_type="application/json", headers=headers)

    return send


def test_the_newest_version_is_deployed_by_default(post: Post, version: Any, predict: Any) -> None:
    second = trained_version(version.model)
    answer = post(version.model, "deploy", {"reason": "better recall"})
    assert answer.status_code == 201
    assert answer.json()["version"] == second.number == 2
    assert predict().json()["version"] == 2


def test_the_version_before_is_superseded(post: Post, version: Any) -> None:
    trained_version(version.model)
    post(version.model, "deploy")
    states = list(
        Deployment.objects.order_by("created_at").values_list("version__number", "status")
    )
    assert states == [(1, DeploymentStatus.SUPERSEDED), (2, DeploymentStatus.ACTIVE)]


def test_an_earlier_version_comes_back_by_its_number(
    post: Post, version: Any, predict: Any
) -> None:
    trained_version(version.model)
    post(version.model, "deploy")
    post(version.model, "deploy", {"version": 1, "reason": "roll back"})
    assert predict().json()["version"] == 1


def test_history_says_who_deployed_what_and_why(
    post: Post, version: Any, client: Any, bearer: Any
) -> None:
    post(version.model, "deploy", {"reason": "quarterly refresh"})
    answer = client.get(
        f"/api/v1/models/{version.model.name}/deployments", headers=bearer(roles.VIEWER)
    )
    newest = answer.json()["results"][0]
    assert newest["reason"] == "quarterly refresh"
    assert newest["created_by"].startswith("operator")
    assert LogEntry.objects.filter(change_message__contains="quarterly refresh").exists()


def test_an_undeployed_model_is_not_ready(post: Post, version: Any, predict: Any) -> None:
    predict()
    assert post(version.model, "undeploy", {"reason": "incident"}).json()["status"] == "ended"
    fleet.synchronize()
    answer = predict()
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0


def test_nothing_to_undeploy_is_a_conflict(post: Post, version: Any) -> None:
    post(version.model, "undeploy")
    assert post(version.model, "undeploy").status_code == 409


def test_a_model_without_a_version_cant_be_deployed(post: Post) -> None:
    answer = post(make_model(), "deploy")
    assert answer.status_code == 409
    assert "train it first" in answer.json()["detail"]


WRONG_VERSIONS = [
    ({"version": 9}, 404),
    ({"version": 0}, 400),
    ({"version": "x"}, 400),
    ({"versoin": 1}, 400),
]


WRONG_VERSIONS = [
    ({"version": 9}, 404),
    ({"version": 0}, 400),
    ({"version": "x"}, 400),
    ({"versoin": 1}, 400),
]


@pytest.mark.parametrize(("body", "status"), WRONG_VERSIONS)
def test_a_wrong_version_is_refused(post: Post, version: Any, body: Any, status: int) -> None:
    assert post(version.model, "deploy", body).status_code == status


def test_a_changed_bundle_is_refused_and_the_old_version_goes_on(
    post: Post, version: Any, predict: Any
) -> None:
    second = trained_version(version.model)
    (second.bundle_folder / "model.onnx").write_bytes(b"not what was registered")
    answer = post(version.model, "deploy")
    assert answer.status_code == 409
    assert "model.onnx" in answer.json()["detail"]
    assert predict().json()["version"] == 1


def test_a_deployed_model_cant_be_retired(client: Any, bearer: Any, version: Any) -> None:
    address = f"/api/v1/models/{version.model.name}"
    answer = client.delete(address, headers=bearer(roles.OPERATOR))
    assert answer.status_code == 409
    version.model.refresh_from_db()
    assert not version.model.is_retired


def test_a_retired_model_cant_be_deployed(
    post: Post, version: Any, client: Any, bearer: Any
) -> None:
    post(version.model, "undeploy")
    client.delete(f"/api/v1/models/{version.model.name}", headers=bearer(roles.OPERATOR))
    assert post(version.model, "deploy").status_code == 409
