"""A training that can't be is refused before it is queued, and the field is named."""

from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.test import APIClient

from models_app.models import ModelVersion
from tests.factories import make_model, trained_version, write_dataset
from tests.training import data
from training import jobs
from training.models import TrainingJob

pytestmark = pytest.mark.usefixtures("model")


def ask(client: APIClient, **body: Any) -> HttpResponse:
    return client.post("/api/v1/models/fraud/train", body)


def refused_fields(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 400, answer.text
    assert not TrainingJob.objects.exists()
    return [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    "path",
    ["missing.csv", "../payments.csv", "/etc/passwd", "/etc/passwd.csv", "sub/../payments.csv",
     "file:///etc/passwd.csv", "%2e%2e/payments.csv", "..\\payments.csv", "payments.csv\x7f.csv",
     "a" * 999 + ".csv", "a" * 5000 + ".csv", "", " ", ".csv", "payments", "payments.xlsx",
     "payments.pkl", "payments.csv.bz2", "payments.json", "payments.csv.", None, 7, ["a.csv"], {}],
)  # fmt: skip
def test_a_path_that_can_not_be_trained_on_is_refused(client: APIClient, path: Any) -> None:
    write_dataset("payments.csv")
    assert refused_fields(ask(client, dataset_path=path)) == ["dataset_path"]


def test_a_path_is_needed(client: APIClient) -> None:
    assert refused_fields(ask(client)) == ["dataset_path"]


def test_an_empty_file_is_refused(client: APIClient) -> None:
    data.put("empty.csv", b"")
    assert refused_fields(ask(client, dataset_path="empty.csv")) == ["dataset_path"]


def test_a_folder_or_a_link_is_refused(client: APIClient) -> None:
    data.path_of("folder.csv").mkdir()
    data.path_of("link.csv").symlink_to(data.path_of(write_dataset()))
    for name in ("folder.csv", "link.csv"):
        assert refused_fields(ask(client, dataset_path=name)) == ["dataset_path"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_split", 0), ("validation_split", 0.6), ("validation_split", "0.2"),
        ("validation_split", True), ("validation_split", None), ("test_split", -0.1),
        ("test_split", 1), ("label_column", 7), ("time_column", ["t"]), ("label_delay_days", -1),
        ("label_delay_days", "week"), ("exclude_columns", "amount"), ("exclude_columns", [1]),
        ("keep_columns", {}), ("seed", 1.5), ("seed", -1), ("seed", 2**31), ("seed", None),
        ("test_from", "2026-03-01"), ("test_from", 7), ("split", "odd"), ("split", None),
        ("refit", "yes"), ("refit", 1), ("calibration", "isotone"), ("calibration", True),
        ("policy", "max_f1"), ("policy", {}), ("policy", {"rule": "luck"}),
        ("policy", {"rule": "max_f1", "alerts": 3}),
        ("policy", {"rule": "cost", "review_cost": -1}),
        ("policy", {"rule": "alerts_per_day", "alerts": "many"}),
        ("policy", {"rule": "precision_floor", "precision": 2}), ("amount_column", 7),
        ("entity_column", ["a"]), ("segment_columns", "shop"), ("segment_columns", ["a"] * 101),
        ("typology_column", False), ("known_entities", "forget"), ("overrides", ["leak"]),
        ("overrides", {"luck": "why not"}), ("overrides", {"leak": " "}),
        ("overrides", {"leak": "x" * 401}), ("members", "a@1"), ("members", ["a@1", "a@1"]),
        ("members", ["a@1", "b@1"]),
        ("epochs", 3), ("max_depth", 0), ("n_estimators", "many"), ("learning_rate", 2),
    ],
)  # fmt: skip
def test_an_unknown_or_wrong_parameter_is_named(client: APIClient, name: str, value: Any) -> None:
    answer = ask(client, dataset_path=write_dataset(), parameters={name: value})
    assert refused_fields(answer) == [f"parameters.{name}"]


def test_the_test_rows_are_named_by_a_share_or_a_time_not_both(client: APIClient) -> None:
    both = {"test_from": "2026-03-01T00:00:00Z", "test_split": 0.2}
    answer = ask(client, dataset_path=write_dataset(), parameters=both)
    assert refused_fields(answer) == ["parameters.test_from"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"policy": {"rule": "cost", "review_cost": 3, "missed_share": 0.8}},
        {"policy": {"rule": "alerts_per_day", "alerts": 5}, "refit": True},
        {"policy": {"rule": "precision_floor", "precision": 0.2}, "calibration": "none"},
        {"test_from": "2026-03-01T00:00:00Z", "segment_columns": ["location"]},
        {"split": "random", "overrides": {"random_split": "a test"}, "known_entities": "keep"},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_what_the_pipeline_can_be_told_is_done(
    client: APIClient, parameters: dict[str, Any]
) -> None:
    answer = ask(client, dataset_path=write_dataset(), parameters=parameters)
    assert answer.status_code == 202, answer.text
    jobs.train(answer.json()["id"])
    job = TrainingJob.objects.get()
    assert (job.status, job.parameters) == ("succeeded", parameters), job.error


# --- ensembles ---


def member(name: str, **fields: Any) -> ModelVersion:
    return trained_version(make_model(name, **fields))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "at least 2"), (["one@1"], "at least 2"), (["one@1", "one"], "not of the form"),
        (["one@1", "one@9"], "no version 9"), (["one@1", "nobody@1"], "no model"),
        (["one@1", "one@x"], "not of the form"), (["one@1", "@1"], "not of the form"),
    ],
)  # fmt: skip
def test_an_ensemble_needs_versions_that_are_there(
    client: APIClient, members: list[str], said: str
) -> None:
    member("one")
    make_model("many", algorithm="ensemble", parameters={})
    body = {"dataset_path": write_dataset(), "parameters": {"members": members}}
    answer = client.post("/api/v1/models/many/train", body)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "parameters.members"
    assert said in error["message"]


def test_an_ensemble_joins_the_versions_that_are_named(client: APIClient) -> None:
    member("one")
    member("two", parameters={"n_estimators": 9, "max_depth": 2})
    make_model("many", algorithm="ensemble", parameters={})
    body = {"dataset_path": write_dataset(), "parameters": {"members": ["one@1", "two@1"]}}
    jobs.train(client.post("/api/v1/models/many/train", body).json()["id"])
    job = TrainingJob.objects.get(model__name="many")
    assert job.status == "succeeded", job.error
    nested = {"dataset_path": write_dataset(), "parameters": {"members": ["one@1", "many@1"]}}
    answer = client.post("/api/v1/models/many/train", nested)
    assert "is an ensemble itself" in answer.json()["detail"]


def test_an_unknown_field_is_named(client: APIClient) -> None:
    answer = ask(client, dataset_path=write_dataset(), paramters={})
    assert refused_fields(answer) == ["paramters"]


def test_parameters_are_an_object(client: APIClient) -> None:
    answer = ask(client, dataset_path=write_dataset(), parameters=[])
    assert refused_fields(answer) == ["parameters"]


def test_an_unknown_model_is_not_found(client: APIClient) -> None:
    body = {"dataset_path": write_dataset()}
    assert client.post("/api/v1/models/nobody/train", body).status_code == 404
