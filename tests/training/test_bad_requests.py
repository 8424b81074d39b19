"""A training that can't be is refused before it is queued, and the field is named."""

from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.test import APIClient

from tests.factories import write_dataset
from tests.training import data
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
        ("epochs", 3), ("max_depth", 0), ("n_estimators", "many"), ("learning_rate", 2),
    ],
)  # fmt: skip
def test_an_unknown_or_wrong_parameter_is_named(client: APIClient, name: str, value: Any) -> None:
    answer = ask(client, dataset_path=write_dataset(), parameters={name: value})
    assert refused_fields(answer) == [f"parameters.{name}"]


def test_an_unknown_field_is_named(client: APIClient) -> None:
    answer = ask(client, dataset_path=write_dataset(), paramters={})
    assert refused_fields(answer) == ["paramters"]


def test_parameters_are_an_object(client: APIClient) -> None:
    answer = ask(client, dataset_path=write_dataset(), parameters=[])
    assert refused_fields(answer) == ["parameters"]


def test_an_unknown_model_is_not_found(client: APIClient) -> None:
    body = {"dataset_path": write_dataset()}
    assert client.post("/api/v1/models/nobody/train", body).status_code == 404
