"""Which job is taken next, how many at a time, and what a waiting one is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base import workers
from models_app.models import RegisteredModel
from tests.factories import make_job, make_model, write_dataset
from tests.training.test_training import QUEUE
from training import jobs, tasks
from training.choices import JobStatus, Priority
from training.models import TrainingJob
from training.queue import claim_next, why_waiting

TRAIN = "/api/v1/models/fraud/train"


@pytest.fixture
def one_place(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"max_workers": 1})


@pytest.fixture
def a_worker(db: None) -> None:
    workers.record("training@host", ["training"])


def statuses() -> dict[str, int]:
    found = list(TrainingJob.objects.values_list("status", flat=True))
    return {status: found.count(status) for status in found}


# --- whose turn it is ---


def test_the_most_urgent_job_is_taken_and_the_oldest_of_them(model: RegisteredModel) -> None:
    priorities = (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.NORMAL, Priority.HIGH)
    queued = [make_job(model, priority=priority) for priority in priorities]
    taken = [claim_next(worker="w") for _ in queued]
    assert [job and job.pk for job in taken] == [queued[i].pk for i in (2, 4, 1, 3, 0)]
    assert claim_next(worker="w") is None


def test_a_message_about_one_job_may_start_another(model: RegisteredModel) -> None:
    ordinary, urgent = make_job(model), make_job(model, priority=Priority.HIGH)
    tasks.train.run(str(ordinary.pk))
    urgent.refresh_from_db()
    ordinary.refresh_from_db()
    assert (urgent.status, ordinary.status) == ("succeeded", "queued")


def test_the_api_takes_a_priority_and_shows_it(client: APIClient, model: RegisteredModel) -> None:
    body = {"dataset_path": write_dataset(), "priority": "high"}
    answer = client.post(TRAIN, body)
    assert answer.json()["priority"] == "high"
    assert TrainingJob.objects.get().priority == Priority.HIGH
    answer = client.post(TRAIN, {**body, "priority": "urgent"})
    assert [error["field"] for error in answer.json()["errors"]] == ["priority"]


def test_a_job_that_is_run_again_keeps_its_priority(
    client: APIClient, model: RegisteredModel
) -> None:
    job = make_job(model, status=JobStatus.FAILED, priority=Priority.LOW)
    again = client.post(f"/api/v1/models/{model.pk}/training-jobs/{job.pk}/retry").json()
    assert again["priority"] == "low"


# --- how many ---


@pytest.mark.usefixtures("one_place")
def test_no_more_jobs_run_than_there_are_places(model: RegisteredModel) -> None:
    for _ in range(2):
        make_job(model)
    first = claim_next(worker="a")
    assert first is not None
    assert claim_next(worker="b") is None
    assert not jobs.work()
    assert first.finish(JobStatus.SUCCEEDED)
    assert claim_next(worker="b") is not None


@pytest.mark.django_db(transaction=True)
def test_workers_that_ask_at_once_do_not_take_more_than_there_are_places(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"max_workers": 2})
    model = make_model()
    for _ in range(6):
        make_job(model)
    start = threading.Barrier(6)

    def ask(number: int) -> bool:
        try:
            start.wait()
            return claim_next(worker=str(number)) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(ask, range(6)))
    assert sum(taken) == 2
    assert statuses() == {"queued": 4, "running": 2}


@pytest.mark.usefixtures("one_place")
def test_a_dead_worker_s_place_is_free_before_the_sweep_comes(model: RegisteredModel) -> None:
    make_job(model, status=JobStatus.RUNNING, lease_until=timezone.now() - timedelta(seconds=1))
    make_job(model)
    assert claim_next(worker="b") is not None


@pytest.mark.usefixtures("one_place")
def test_a_job_whose_message_came_while_all_were_busy_is_announced_at_the_end(
    model: RegisteredModel, redis_connection: redis.Redis
) -> None:
    first, second = make_job(model), make_job(model)
    tasks.train.run(str(first.pk))
    (message,) = redis_connection.lrange(QUEUE, 0, -1)
    assert str(second.pk).encode() in message


def test_the_named_job_is_run_when_somebody_asks_for_it_by_name(model: RegisteredModel) -> None:
    make_job(model, priority=Priority.HIGH)
    named = make_job(model)
    assert jobs.train(str(named.pk))
    named.refresh_from_db()
    assert named.status == "succeeded"


# --- why it waits ---


def test_without_a_worker_a_job_says_so(model: RegisteredModel) -> None:
    assert why_waiting(make_job(model)) == (
        "It is next. No worker takes trainings: none showed life for 15 seconds."
    )


@pytest.mark.usefixtures("a_worker")
def test_a_job_that_is_next_waits_for_seconds_only(model: RegisteredModel) -> None:
    assert str(why_waiting(make_job(model))).startswith("It is next. A worker takes it within")


@pytest.mark.usefixtures("a_worker", "one_place")
def test_a_job_says_who_is_at_work_and_how_many_are_ahead(model: RegisteredModel) -> None:
    make_job(
        model, status=JobStatus.RUNNING, progress=40, step="fit: 8 of 20",
        lease_until=timezone.now() + timedelta(seconds=30),
    )  # fmt: skip
    make_job(model, priority=Priority.HIGH)
    waiting = make_job(model)
    assert why_waiting(waiting) == (
        "1 job is ahead of it. The only place for trainings is at work: fraud (40 %, fit: 8 of 20)."
    )
    late = make_job(model, priority=Priority.LOW)
    assert str(why_waiting(late)).startswith("2 jobs are ahead of it, and its priority is low.")


def test_without_redis_a_job_says_that_nobody_can_be_woken(
    model: RegisteredModel, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "Redis, which wakes the workers, is not reachable." in str(why_waiting(make_job(model)))


def test_a_job_that_does_not_wait_is_not_asked_why(
    client: APIClient, model: RegisteredModel
) -> None:
    job = make_job(model, status=JobStatus.RUNNING)
    assert why_waiting(job) is None
    shown = client.get(f"/api/v1/models/fraud/training-jobs/{job.pk}").json()
    assert (shown["waiting_for"], shown["status"]) == (None, "running")


def test_the_list_asks_about_the_queue_once(
    client: APIClient, model: RegisteredModel, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        make_job(model)
    with django_assert_max_num_queries(12):
        jobs_of_list = client.get("/api/v1/models/fraud/training-jobs").json()["results"]
    told = [job["waiting_for"].split(" No ")[0] for job in jobs_of_list]
    assert told == [
        "4 jobs are ahead of it.", "3 jobs are ahead of it.", "2 jobs are ahead of it.",
        "1 job is ahead of it.", "It is next.",
    ]  # fmt: skip
