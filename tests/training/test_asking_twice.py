"""The same request twice: one job for one key, and no two jobs for the same training."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests.factories import api_client, make_model, write_dataset
from training import jobs
from training.models import TrainingJob

TRAIN = "/api/v1/models/fraud/train"
SAME = {"headers": {"Idempotency-Key": "nightly-2026-11-23"}}
pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def body() -> dict[str, Any]:
    return {"dataset_path": write_dataset(), "parameters": {"seed": 7}}


def test_the_same_key_and_body_give_the_same_job(client: APIClient, body: dict[str, Any]) -> None:
    first, second = (client.post(TRAIN, body, **SAME) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first["Location"] == second["Location"]
    assert TrainingJob.objects.count() == 1


def test_the_job_of_a_key_is_given_back_when_it_is_over_too(
    client: APIClient, body: dict[str, Any]
) -> None:
    job = client.post(TRAIN, body, **SAME).json()
    jobs.train(job["id"])
    again = client.post(TRAIN, body, **SAME).json()
    assert (again["id"], again["status"]) == (job["id"], "succeeded")


@pytest.mark.parametrize(
    "change",
    [{"parameters": {"seed": 8}}, {"priority": "high"}, {"allow_duplicate": True}],
    ids=lambda change: next(iter(change)),
)
def test_the_same_key_with_another_body_is_refused_and_the_job_named(
    client: APIClient, body: dict[str, Any], change: dict[str, Any]
) -> None:
    job = client.post(TRAIN, body, **SAME).json()
    answer = client.post(TRAIN, {**body, **change}, **SAME)
    assert answer.status_code == 409
    assert job["id"] in answer.json()["detail"]
    assert TrainingJob.objects.count() == 1


def test_a_key_belongs_to_its_caller(client: APIClient, body: dict[str, Any]) -> None:
    client.post(TRAIN, body, **SAME)
    other = api_client(roles.DATA_SCIENTIST)
    answer = other.post(TRAIN, {**body, "parameters": {"seed": 8}}, **SAME)
    assert answer.status_code == 202
    assert TrainingJob.objects.count() == 2


def test_a_key_outlives_the_replacing_of_the_file(client: APIClient, body: dict[str, Any]) -> None:
    job = client.post(TRAIN, body, **SAME).json()
    write_dataset(seed=2)
    assert client.post(TRAIN, body, **SAME).json()["id"] == job["id"]


@pytest.mark.parametrize("key", ["", " ", "k" * 201, "käse", "a\tb"])
def test_a_key_that_is_none_is_refused(client: APIClient, body: dict[str, Any], key: str) -> None:
    answer = client.post(TRAIN, body, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert not TrainingJob.objects.exists()


def test_running_again_takes_a_key_too(client: APIClient, body: dict[str, Any]) -> None:
    job = client.post(TRAIN, body).json()
    client.post(f"/api/v1/models/fraud/training-jobs/{job['id']}/cancel")
    retry = f"/api/v1/models/fraud/training-jobs/{job['id']}/retry"
    first, second = (client.post(retry, **SAME) for _ in range(2))
    assert (first.status_code, first["Location"]) == (202, second["Location"])
    assert TrainingJob.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_with_one_key_at_once_one_makes_the_job() -> None:
    make_model("crowded")
    body = {"dataset_path": write_dataset()}
    client = api_client(roles.DATA_SCIENTIST)
    start = threading.Barrier(8)

    def ask(_: int) -> HttpResponse:
        try:
            start.wait()
            return client.post("/api/v1/models/crowded/train", body, **SAME)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer["Location"] for answer in answers}) == 1
    assert TrainingJob.objects.count() == 1


# --- without a key ---


def test_the_same_training_is_not_queued_twice(client: APIClient, body: dict[str, Any]) -> None:
    job = client.post(TRAIN, body).json()
    answer = client.post(TRAIN, body)
    assert answer.status_code == 409
    assert f"Job {job['id']} for the same training is queued." in answer.json()["detail"]
    assert TrainingJob.objects.count() == 1


def test_a_duplicate_may_be_asked_for(client: APIClient, body: dict[str, Any]) -> None:
    client.post(TRAIN, body)
    assert client.post(TRAIN, {**body, "allow_duplicate": True}).status_code == 202


@pytest.mark.parametrize(
    "change", [{"parameters": {"seed": 8}}, {"dataset_path": "other.csv"}], ids=str
)
def test_another_training_is_no_duplicate(
    client: APIClient, body: dict[str, Any], change: dict[str, Any]
) -> None:
    write_dataset("other.csv")
    client.post(TRAIN, body)
    assert client.post(TRAIN, {**body, **change}).status_code == 202


def test_another_model_s_training_is_no_duplicate(client: APIClient, body: dict[str, Any]) -> None:
    make_model("other")
    client.post(TRAIN, body)
    assert client.post("/api/v1/models/other/train", body).status_code == 202


def test_what_is_over_may_be_asked_for_again(client: APIClient, body: dict[str, Any]) -> None:
    job = client.post(TRAIN, body).json()
    jobs.train(job["id"])
    assert client.post(TRAIN, body).status_code == 202


def test_the_refusal_leaves_nothing_behind(
    client: APIClient, body: dict[str, Any], model: RegisteredModel
) -> None:
    client.post(TRAIN, body)
    client.post(TRAIN, body)
    assert model.training_jobs.count() == 1
