"""A job belongs to one worker at a time, and outlives a worker that dies."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.db.models import F
from django.utils import timezone

from models_app.models import ModelVersion, RegisteredModel
from tests.factories import make_job, make_model
from tests.training.test_cancelling import LONG, worker_on
from tests.training.test_training import QUEUE
from training import jobs, tasks
from training.choices import JobStatus
from training.models import TrainingJob

Nothing = Callable[[], bool]


def die(job: TrainingJob) -> None:
    """As if the worker that has the job had been killed long ago."""
    past = timezone.now() - timedelta(seconds=1)
    TrainingJob.objects.filter(pk=job.pk).update(lease_until=past)


def claimed(model: RegisteredModel) -> TrainingJob:
    job = make_job(model)
    assert job.claim(worker="first")
    return job


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_that_hear_of_a_job_one_runs_it(model: RegisteredModel) -> None:
    job = make_job(model)
    start = threading.Barrier(4)

    def work(_: int) -> None:
        try:
            start.wait()
            jobs.train(str(job.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    job.refresh_from_db()
    assert (job.status, job.attempts, job.fence) == ("succeeded", 1, 1)
    assert ModelVersion.objects.count() == 1


def test_a_job_that_somebody_has_is_left_alone(model: RegisteredModel) -> None:
    job = claimed(model)
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.worker, job.attempts) == ("running", "first", 1)


def test_a_job_whose_worker_died_is_requeued_and_finished_once(model: RegisteredModel) -> None:
    job = claimed(model)
    assert jobs.requeue_stalled() == []  # its lease lasts
    die(job)
    assert jobs.requeue_stalled() == [str(job.pk)]
    jobs.train(str(job.pk))
    jobs.train(str(job.pk))  # its message was delivered twice
    job.refresh_from_db()
    assert (job.status, job.attempts, job.progress) == ("succeeded", 2, 100)
    assert ModelVersion.objects.count() == 1


def test_the_sweep_tells_the_workers(model: RegisteredModel, redis_connection: redis.Redis) -> None:
    job = claimed(model)
    die(job)
    tasks.requeue_stalled()
    (message,) = redis_connection.lrange(QUEUE, 0, -1)
    assert str(job.pk).encode() in message


def test_a_queued_job_whose_message_was_lost_is_announced_again(model: RegisteredModel) -> None:
    job = make_job(model)
    assert jobs.requeue_stalled() == []
    job.created_at = timezone.now() - timedelta(minutes=5)
    job.save(update_fields=["created_at"])
    assert jobs.requeue_stalled() == [str(job.pk)]


def test_a_queued_job_is_not_announced_while_every_worker_is_busy(
    model: RegisteredModel, settings: Any
) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"max_workers": 1})
    claimed(model)
    make_job(model, created_at=timezone.now() - timedelta(minutes=5))
    assert jobs.requeue_stalled() == []


def test_a_job_that_kills_its_workers_is_put_in_quarantine(model: RegisteredModel) -> None:
    job = make_job(model)
    for _ in range(3):
        assert job.claim(worker="doomed")
        die(job)
        jobs.requeue_stalled()
    job.refresh_from_db()
    assert (job.status, job.attempts, job.is_quarantined) == ("errored", 3, True)
    assert job.error.startswith("The worker died 3 times with this job; it is in quarantine.")
    assert not job.claim(worker="another")


def test_a_worker_that_lost_its_job_can_not_write(model: RegisteredModel) -> None:
    slow = claimed(model)
    die(slow)
    jobs.requeue_stalled()
    second = TrainingJob.objects.get(pk=slow.pk)
    assert second.claim(worker="second")
    assert not slow.write(progress=99)
    assert slow.renew() is None
    assert not slow.finish(JobStatus.FAILED, error="too late")
    second.refresh_from_db()
    assert (second.status, second.worker, second.progress) == ("running", "second", 0)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_loses_its_job_in_the_middle_stops_and_leaves_nothing(
    nothing_left: Nothing,
) -> None:
    job = make_job(make_model("slow", parameters=LONG))
    with worker_on(job):
        TrainingJob.objects.filter(pk=job.pk).update(fence=F("fence") + 1, worker="second")
    job.refresh_from_db()
    assert (job.status, job.worker) == ("running", "second")
    assert nothing_left()


def test_a_worker_that_loses_its_job_at_the_last_moment_registers_nothing(
    model: RegisteredModel, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(model)
    write = jobs.bundles.write

    def lose_after_writing(**kwargs: Any) -> Any:
        written = write(**kwargs)
        TrainingJob.objects.filter(pk=job.pk).update(fence=F("fence") + 1, worker="second")
        return written

    monkeypatch.setattr(jobs.bundles, "write", lose_after_writing)
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.worker) == ("running", "second")
    assert nothing_left()


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_the_fit_goes_on(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"lease_seconds": 1})
    job = make_job(make_model("slow", parameters=LONG))
    with worker_on(job):
        first = TrainingJob.objects.get(pk=job.pk).lease_until
        threading.Event().wait(0.5)
        second = TrainingJob.objects.get(pk=job.pk).lease_until
        job.request_cancel()
    assert first is not None
    assert second is not None
    assert second > first
