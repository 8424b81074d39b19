"""Versions of a model and the aliases that point at them."""

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.choices import AliasName
from models_app.models import RegisteredModel
from models_app.services import registry
from tests.factories import api_client, make_model, make_user, trained_version

pytestmark = pytest.mark.django_db
MODEL = "/api/v1/models/fraud"


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.OPERATOR)


@pytest.fixture
def model() -> RegisteredModel:
    return make_model("fraud")


def test_each_training_gives_the_next_number(client: APIClient, model: RegisteredModel) -> None:
    for _ in range(3):
        trained_version(model)
    versions = client.get(f"{MODEL}/versions").json()["results"]
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert client.get(MODEL).json()["newest_version"] == 3


def test_numbers_of_different_models_are_independent(model: RegisteredModel) -> None:
    assert trained_version(model).number == trained_version(make_model("other")).number == 1


def test_a_version_tells_its_evidence(client: APIClient, model: RegisteredModel) -> None:
    trained = trained_version(model, actor=make_user(roles.DATA_SCIENTIST, username="ada"))
    body = client.get(f"{MODEL}/versions/1").json()
    assert body["created_by"] == "ada"
    assert body["bundle_digest"] == trained.bundle_digest
    assert body["training_job"] == str(trained.job.pk)
    assert set(body["metrics"]["test"]) >= {
        "auroc", "average_precision", "precision", "recall", "f1", "threshold", "confusion_matrix",
    }  # fmt: skip
    assert [feature["name"] for feature in body["signature"]["features"]] == [
        "amount", "merchant_category", "location",
    ]  # fmt: skip
    assert len(body["lineage"]["dataset"]["sha256"]) == 64


def test_a_version_of_another_model_is_not_found(client: APIClient, model: RegisteredModel) -> None:
    trained_version(make_model("other"))
    assert client.get(f"{MODEL}/versions/1").status_code == 404


def test_a_deployed_version_is_the_champion(client: APIClient, model: RegisteredModel) -> None:
    trained_version(model)
    trained_version(model)
    client.post(f"{MODEL}/deploy", {"version": 1})
    assert client.get(MODEL).json()["aliases"] == {"champion": 1}
    assert client.get(f"{MODEL}/versions/1").json()["aliases"] == ["champion"]
    client.post(f"{MODEL}/deploy")
    assert client.get(MODEL).json()["aliases"] == {"champion": 2}


def test_moving_an_alias_tells_where_it_was(model: RegisteredModel) -> None:
    first, second = trained_version(model), trained_version(model)
    actor = make_user(roles.OPERATOR)
    move = {"name": AliasName.CHALLENGER, "actor": actor, "reason": "trial"}
    assert registry.point_alias(version=first, **move) is None
    assert registry.point_alias(version=second, **move) == first
    assert model.aliases.get().version == second


def test_dropping_an_alias_twice_is_dropping_it_once(model: RegisteredModel) -> None:
    actor = make_user(roles.OPERATOR)
    registry.point_alias(
        name=AliasName.SHADOW, version=trained_version(model), actor=actor, reason=""
    )
    for _ in range(2):
        registry.drop_alias(name=AliasName.SHADOW, model=model, actor=actor, reason="")
    assert not model.aliases.exists()


def test_one_version_has_its_curves_and_the_list_has_not(
    client: APIClient, model: RegisteredModel
) -> None:
    trained_version(model)
    curves = client.get(f"{MODEL}/versions/1").json()["metrics"]["curves"]
    assert {"roc", "pr", "calibration", "gain", "learning"} <= set(curves)
    listed = client.get(f"{MODEL}/versions").json()["results"][0]["metrics"]
    assert "curves" not in listed
    assert listed["test"]["intervals"]["auroc"]


def test_one_version_tells_its_files_and_decisions(
    client: APIClient, model: RegisteredModel
) -> None:
    version = trained_version(model)
    evidence = client.get(f"{MODEL}/versions/1").json()["evidence"]
    assert evidence["refused"] is None
    assert 0 <= evidence["policy"]["review"] <= 1
    on_disk = {path.name: path.stat().st_size for path in version.bundle_folder.iterdir()}
    del on_disk["manifest.json"]
    assert {file["name"]: file["bytes"] for file in evidence["files"]} == on_disk


def test_a_version_whose_files_were_changed_says_so(
    client: APIClient, model: RegisteredModel
) -> None:
    (trained_version(model).bundle_folder / "card.md").unlink()
    evidence = client.get(f"{MODEL}/versions/1").json()["evidence"]
    assert "a file can't be read" in evidence["refused"]
    assert client.get(f"{MODEL}/versions/1/card").status_code == 503


def test_the_card_is_markdown(client: APIClient, model: RegisteredModel) -> None:
    trained_version(model)
    answer = client.get(f"{MODEL}/versions/1/card", headers={"Accept": "text/markdown"})
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="fraud-v1.md"'
    assert answer.content.decode().startswith("# fraud\n")


@pytest.mark.parametrize("page", ["card", "bundle"])
def test_a_file_of_no_version_is_a_problem_document(
    client: APIClient, model: RegisteredModel, page: str
) -> None:
    answer = client.get(f"{MODEL}/versions/7/{page}")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "This model has no version 7."
