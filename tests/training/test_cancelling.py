"""Stopping a training, and trying again."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.factories import make_job, make_model, write_dataset
from tests.training import data
from training import jobs
from training.choices import JobStatus
from training.models import TrainingJob

Nothing = Callable[[], bool]
LONG = {"n_estimators": 5000, "max_depth": 3}


def url(job: TrainingJob, verb: str) -> str:
    return f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}/{verb}"


@contextmanager
def worker_on(job: TrainingJob) -> Iterator[None]:
    """A worker that is fitting `job` when the block starts and has let go at its end."""

    def work() -> None:
        try:
            jobs.train(str(job.pk))
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    until = time.monotonic() + 20
    while not TrainingJob.objects.filter(pk=job.pk, step__startswith="fit: ").exists():
        assert time.monotonic() < until, "the worker never got to the fit"
        time.sleep(0.02)
    yield
    worker.join(timeout=20)
    assert not worker.is_alive()


def test_a_queued_job_is_cancelled_at_once_and_never_run(
    client: APIClient, model: RegisteredModel, nothing_left: Nothing
) -> None:
    job = make_job(model)
    answer = client.post(url(job, "cancel"))
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("cancelled", 0)
    assert nothing_left()


@pytest.mark.django_db(transaction=True)
def test_a_running_job_stops_at_its_next_step(client: APIClient, nothing_left: Nothing) -> None:
    job = make_job(make_model("slow", parameters=LONG))
    with worker_on(job):
        answer = client.post(url(job, "cancel"))
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    job.refresh_from_db()
    assert (job.status, job.version, job.error) == ("cancelled", None, "")
    assert 20 <= job.progress < 82
    assert nothing_left()


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_job_that_is_over_can_not_be_cancelled(
    client: APIClient, model: RegisteredModel, status: str
) -> None:
    job = make_job(model, status=status)
    answer = client.post(url(job, "cancel"))
    assert answer.status_code == 409
    assert status in answer.json()["detail"]


def test_a_cancelled_job_whose_worker_died_is_ended_by_the_sweep(model: RegisteredModel) -> None:
    past = timezone.now() - timedelta(seconds=1)
    job = make_job(model, status=JobStatus.CANCELLING, lease_until=past)
    assert jobs.requeue_stalled() == []
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert job.finished_at is not None


def test_a_failed_job_can_be_tried_again(client: APIClient, model: RegisteredModel) -> None:
    body = {"dataset_path": data.put("a.csv", "amount,is_fraud\n1,0\n"), "parameters": {"seed": 3}}
    failed = client.post("/api/v1/models/fraud/train", body).json()["id"]
    jobs.train(failed)
    write_dataset("a.csv")
    answer = client.post(f"/api/v1/models/fraud/training-jobs/{failed}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert again["id"] in answer["Location"]
    assert (again["reason"], again["parameters"]) == (f"again, after {failed}", {"seed": 3})
    jobs.train(again["id"])
    assert client.get(answer["Location"]).json()["status"] == "succeeded"
    assert TrainingJob.objects.get(pk=failed).status == "failed"


@pytest.mark.parametrize("status", ["queued", "running", "cancelling"])
def test_a_job_that_is_still_open_can_not_be_tried_again(
    client: APIClient, model: RegisteredModel, status: str
) -> None:
    answer = client.post(url(make_job(model, status=status), "retry"))
    assert answer.status_code == 409
    assert TrainingJob.objects.count() == 1
