"""Trainings in a real worker: stopped in time, killed, and brought to their end by another."""

import signal
import time
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from models_app import bundles
from tests.factories import (
    make_entity,
    make_model,
    make_set,
    make_stream,
    make_view,
    write_dataset,
)
from tests.faults.trainers import DEAF, fitting, over, trainer, wait_for
from tests.features import history
from training import jobs, tasks
from training.models import TrainingJob
from training.services import jobs as services

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 3000
LONG = {"n_estimators": 3000, "max_depth": 5, "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def _folders_of_each_test(own_folders: Path) -> None:
    """What the worker writes is this test's alone."""


def ask(model: str = "fraud", **parameters: object) -> TrainingJob:
    found = make_model(model, parameters=parameters)
    path = write_dataset(f"{model}.csv", rows=ROWS)
    return services.request_run(model=found, actor=found.owner, dataset_path=path)


def cancelled_within(job: TrainingJob) -> float:
    """Seconds from the request until the job is over."""
    began = time.monotonic()
    services.cancel(job=job, actor=job.requested_by)
    over(job, 20)
    return time.monotonic() - began


def test_a_fit_that_does_not_listen_ends_within_two_seconds_of_its_cancel(
    own_folders: Path,
) -> None:
    with trainer(own_folders, program=DEAF) as worker:
        job = ask("deaf")
        fitting(job)
        child = worker.child()
        seconds = cancelled_within(job)
        assert (job.status, job.error) == ("cancelled", "")
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "end", 5)
        assert wait_for(lambda: worker.child().pid != child.pid, "another process", 20)
    assert seconds < 2.0


def test_a_fit_that_listens_ends_sooner_and_its_process_lives_on(own_folders: Path) -> None:
    with trainer(own_folders) as worker:
        job = ask(**LONG)
        fitting(job)
        child = worker.child()
        seconds = cancelled_within(job)
        assert job.status == "cancelled"
        assert worker.child().pid == child.pid
    assert seconds < 2.0


# parameters with which each algorithm fits for longer than anybody waits; a logistic regression
# is over before somebody can change their mind
LONG_FITS: dict[str, dict[str, object]] = {
    "xgboost": {"n_estimators": 5000, "max_depth": 10},
    "random_forest": {"n_estimators": 2000, "max_depth": 40},
    "neural_network": {"epochs": 1000, "patience": 0},
    "isolation_forest": {"n_estimators": 2000, "max_samples": 100_000},
    "lstm": {"epochs": 1000, "patience": 0},
}


def long_fit(algorithm: str) -> TrainingJob:
    """A queued training by `algorithm`, on a stream where it needs sequences."""
    model = make_model(algorithm, algorithm=algorithm, parameters=LONG_FITS[algorithm])
    if algorithm != "lstm":
        path = write_dataset(f"{algorithm}.csv", rows=60_000)
        return services.request_run(model=model, actor=model.owner, dataset_path=path)
    stream = make_stream("payments", entities={"terminal": "terminal_id"})
    history.load(stream, history.payments(2000))
    steps = [{"name": "last", "sequence": ["amount"], "length": 5, "window": "30d"}]
    entity = make_entity("terminal")
    pinned = make_set(make_view("steps", stream=stream, entity=entity.name, features=steps))
    since, until = (datetime.fromisoformat(history.iso(day)) for day in (0, 250))
    source = services.Source(feature_set=pinned, since=since, until=until)
    return services.request_run(model=model, actor=model.owner, source=source)


def test_each_algorithm_ends_within_two_seconds_of_its_cancel(own_folders: Path) -> None:
    seconds = {}
    with trainer(own_folders):
        for algorithm in LONG_FITS:
            job = long_fit(algorithm)
            fitting(job)
            time.sleep(1)  # in the middle of it
            seconds[algorithm] = round(cancelled_within(job), 2)
            assert (job.status, job.error) == ("cancelled", ""), algorithm
    assert max(seconds.values()) < 2, seconds


def test_a_deaf_fit_that_runs_out_of_time_is_failed_not_tried_again(own_folders: Path) -> None:
    with trainer(own_folders, program=DEAF, job_timeout=10) as worker:
        job = ask("deaf")
        fitting(job)
        child = worker.child()
        over(job, 25)
        wait_for(lambda: worker.child().pid != child.pid, "another process", 20)
    assert (job.status, job.error) == ("failed", "Stopped after the time limit of 10 seconds.")
    assert (job.attempts, job.deaths) == (1, 0)


def test_the_next_job_is_taken_by_the_process_that_replaces_a_deaf_one(own_folders: Path) -> None:
    with trainer(own_folders, program=DEAF, max_workers=1) as worker:
        first, second = ask("deaf"), ask("next")
        fitting(first)
        cancelled_within(first)
        fitting(second)
        assert second.worker.endswith(f":{worker.child().pid}")


def test_a_killed_worker_s_job_goes_on_from_its_checkpoint_to_the_same_model(
    own_folders: Path,
) -> None:
    limits = {"lease_seconds": 5, "checkpoint_seconds": 0.2}
    with trainer(own_folders, **limits) as worker:
        job = ask(**LONG)
        fitting(job, percent=56)  # 20 to 80 is the fit: at 60 % of it
        worker.child().kill()
        wait_for(lambda: tasks.requeue_stalled() or is_queued_or_later(job), "new try", 30)
        at = fitting(job).progress
        over(job, 120)
        wait_for(lambda: not list(Path(settings.CHECKPOINT_ROOT).glob("*")), "end of state", 10)
    assert job.status == "succeeded", job.error
    assert (job.attempts, job.deaths) == (2, 1)
    assert [point["round"] for point in job.points] == sorted({p["round"] for p in job.points})
    assert at >= 45, "the second worker began anew"
    assert model_of(job) == model_of(undisturbed(job))


def test_a_worker_that_is_stopped_hands_its_job_back(own_folders: Path) -> None:
    """As at the end of `aegisml.up`: TERM, and QUIT for who is still at work after a while."""
    with trainer(own_folders, checkpoint_seconds=0.2) as worker:
        job = ask(**LONG)
        fitting(job, percent=40)
        worker.master.send_signal(signal.SIGTERM)
        time.sleep(1)
        worker.master.send_signal(signal.SIGQUIT)
        wait_for(lambda: is_back(job), "job in the queue", 10)
        wait_for(lambda: not worker.master.is_running() or is_dead(worker.master), "end", 10)
    assert (job.attempts, job.deaths, job.not_before) == (0, 0, None)
    with trainer(own_folders):
        tasks.train.delay(str(job.pk))
        assert fitting(job).progress >= 35, "the second worker began anew"
        over(job, 120)
    assert (job.status, job.attempts, job.deaths) == ("succeeded", 1, 0)


def test_a_stopped_worker_s_deaf_fit_is_handed_back_too(own_folders: Path) -> None:
    with trainer(own_folders, program=DEAF) as worker:
        job = ask("deaf")
        fitting(job)
        worker.child().send_signal(signal.SIGTERM)
        wait_for(lambda: is_back(job), "job in the queue", 10)
    assert job.deaths == 0


def is_dead(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def is_back(job: TrainingJob) -> bool:
    job.refresh_from_db()
    return job.status == "queued"


def is_queued_or_later(job: TrainingJob) -> bool:
    job.refresh_from_db()
    return job.deaths == 1


def undisturbed(job: TrainingJob) -> TrainingJob:
    """The same training without anybody dying."""
    again = services.retry(job=job, actor=job.requested_by)
    jobs.train(str(again.pk))
    again.refresh_from_db()
    return again


def model_of(job: TrainingJob) -> dict[str, bytes]:
    assert job.version is not None, job.error
    _, files = bundles.read(job.version.bundle_folder, digest=job.version.bundle_digest)
    return {name: files[name] for name in ("model.ubj", "model.onnx", "policy.json")}
