"""A trial belongs to one worker at a time; a study outlives its workers and stops when told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.factories import make_model
from tests.training import studying
from training import automation, optuna_storage, searches, study_data, tasks
from training.choices import StudyStatus, TrialStatus
from training.ml import searching
from training.ml.algorithms import logistic_regression
from training.ml.errors import TrainingError
from training.models import Study, TrainingJob, Trial
from training.services import studies

LONG: dict[str, Any] = {
    "parameters": {"n_estimators": 5000},
    "space": {"max_depth": {"low": 2, "high": 4}},
    "trials": 3,
}

pytestmark = pytest.mark.usefixtures("model")


def begun(**plan: Any) -> tuple[Study, Trial]:
    """A study that goes on, and its first trial, which waits for a worker."""
    study = studying.ask(**plan)
    (first,) = searches.begin(str(study.pk)).trials
    study.refresh_from_db()
    return study, Trial.objects.get(pk=first)


def die(trial: Trial) -> None:
    """As if the worker that has the trial had been killed long ago."""
    past = timezone.now() - timedelta(seconds=1)
    Trial.objects.filter(pk=trial.pk).update(lease_until=past)


def lose_worker(trial: Trial) -> None:
    """As if a worker had asked Optuna what to try, and then been killed."""
    assert trial.claim(worker="first")
    with optuna_storage.opened() as storage:
        found = optuna_storage.search(storage, trial.study, trial.algorithm, number=trial.number)
        space = searching.distributions(trial.algorithm, trial.study.space[trial.algorithm])
        asked, parameters = searching.ask(found, space)
        trial.write(optuna_id=asked._trial_id, parameters=parameters)
    die(trial)


@contextmanager
def worker_on(trial: Trial) -> Iterator[threading.Thread]:
    """A worker that is fitting `trial` when the block starts."""

    def work() -> None:
        try:
            searches.work(str(trial.pk))
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    until = time.monotonic() + 30
    while not Trial.objects.filter(pk=trial.pk, step__startswith="fit: ").exists():
        assert time.monotonic() < until, "the worker never got to the fit"
        time.sleep(0.02)
    yield worker
    worker.join(timeout=20)
    assert not worker.is_alive()


def test_a_trial_that_somebody_has_is_left_alone() -> None:
    _, trial = begun()
    assert trial.claim(worker="first")
    searches.work(str(trial.pk))
    trial.refresh_from_db()
    assert (trial.status, trial.worker, trial.attempts) == ("running", "first", 1)


def test_as_many_trials_wait_as_workers_are_wanted() -> None:
    study = studying.ask(algorithms=("logistic_regression",), trials=5, workers=3)
    first = searches.begin(str(study.pk)).trials
    assert len(first) == 3
    (following,) = searches.work(first[0]).trials
    assert following not in first
    assert study.trials.open().count() == 3


def test_a_trial_whose_worker_died_is_tried_once_more_with_the_same_parameters() -> None:
    study, trial = begun()
    lose_worker(trial)
    trial.refresh_from_db()
    before = trial.parameters
    automation.look_after_studies()
    trial.refresh_from_db()
    assert trial.status == "queued"
    studying.search(study)
    trial.refresh_from_db()
    assert (trial.status, trial.attempts, trial.parameters) == ("succeeded", 2, before)
    assert studying.states(study) == ["complete"] * 4


def test_a_trial_that_kills_its_workers_fails_and_the_study_goes_on() -> None:
    study, trial = begun()
    lose_worker(trial)
    automation.look_after_studies()
    trial.refresh_from_db()
    assert trial.claim(worker="second")
    die(trial)
    automation.look_after_studies()
    trial.refresh_from_db()
    assert trial.status == "failed"
    assert "died 2 times" in trial.error
    studying.search(study)
    assert sorted(studying.states(study)) == ["complete"] * 3 + ["fail"]
    assert study.best_trial is not None


def test_a_worker_that_was_given_up_writes_nothing() -> None:
    _, trial = begun()
    assert trial.claim(worker="first")
    die(trial)
    old = Trial.objects.get(pk=trial.pk)
    automation.look_after_studies()
    assert trial.claim(worker="second")
    assert not old.write(step="mine")
    assert not old.finish(TrialStatus.SUCCEEDED, value=1.0)
    assert trial.write(step="mine")


def test_what_optuna_was_asked_for_by_a_worker_that_died_is_no_zombie() -> None:
    study, trial = begun()
    with optuna_storage.opened() as storage:  # asked, and killed before the row knew
        optuna_storage.search(storage, study, trial.algorithm).ask()
    studying.search(study)
    assert sorted(studying.states(study)) == ["complete"] * 4 + ["fail"]


def test_lost_messages_are_sent_again(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"lease_seconds": 5})
    long_ago = timezone.now() - timedelta(seconds=10)
    study = studying.ask()
    Study.objects.update(created_at=long_ago)
    assert [n.trials for n in searches.recover() if n.trials]  # begun, with a first trial
    Trial.objects.update(announced_at=long_ago)
    (found,) = {trial for n in searches.recover() for trial in n.trials}
    assert found == str(study.trials.get().pk)
    assert not [n.trials for n in searches.recover() if n.trials]  # not each time


def test_a_queued_study_is_cancelled_at_once(client: APIClient) -> None:
    study = studying.ask(make_model("other"))
    answer = client.post(f"/api/v1/models/other/studies/{study.pk}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert searches.begin(str(study.pk)).trials == ()
    again = client.post(f"/api/v1/models/other/studies/{study.pk}/cancel")
    assert again.status_code == 409


@pytest.mark.django_db(transaction=True)
def test_a_running_study_stops_within_two_seconds(client: APIClient) -> None:
    study, trial = begun(**LONG)
    with worker_on(trial) as worker:
        asked = time.monotonic()
        answer = client.post(f"/api/v1/models/{study.model.name}/studies/{study.pk}/cancel")
        assert answer.json()["status"] == "cancelling"
        worker.join(timeout=20)
        took = time.monotonic() - asked
    trial.refresh_from_db()
    study.refresh_from_db()
    assert (trial.status, study.status, study.trials.count()) == ("cancelled", "cancelled", 1)
    assert took < 2
    assert studying.states(study) == ["fail"]
    assert not study_data.folder_of(study.pk).exists()


def test_a_study_cancelled_between_two_trials_ends() -> None:
    study, _ = begun()
    automation.look_after_studies()
    studies.cancel(study=study, actor=study.requested_by)
    automation.look_after_studies()
    study.refresh_from_db()
    assert study.status == "cancelled"
    assert set(study.trials.values_list("status", flat=True)) == {"cancelled"}


def test_cancelling_stops_the_trainings_at_the_end_too(client: APIClient) -> None:
    study = studying.search(studying.ask())
    automation.look_after_studies()
    job = TrainingJob.objects.get()
    client.post(f"/api/v1/models/{study.model.name}/studies/{study.pk}/cancel")
    job.refresh_from_db()
    study.refresh_from_db()
    assert (job.status, study.status) == ("cancelled", "cancelled")


def test_the_best_of_a_cancelled_study_can_be_trained(client: APIClient) -> None:
    study, trial = begun()
    searches.work(str(trial.pk))
    address = f"/api/v1/models/{study.model.name}/studies/{study.pk}"
    assert client.post(f"{address}/train").status_code == 409  # it goes on
    client.post(f"{address}/cancel")
    automation.look_after_studies()
    told = client.post(f"{address}/train").json()
    job = TrainingJob.objects.get()
    assert told["best"]["job"] == str(job.pk)
    assert (job.parameters, job.algorithm) == (trial_parameters(trial), "logistic_regression")
    assert client.post(f"{address}/train").status_code == 409  # it is under way


def trial_parameters(trial: Trial) -> dict[str, Any]:
    trial.refresh_from_db()
    return dict(trial.parameters)


def test_no_trial_begins_when_the_time_is_up() -> None:
    study, trial = begun(algorithms=("logistic_regression",), time_budget_seconds=60, trials=100)
    next_one = searches.work(str(trial.pk)).trials[0]
    Study.objects.update(started_at=timezone.now() - timedelta(seconds=61))
    found = searches.work(next_one)
    study.refresh_from_db()
    assert (found.trials, found.is_over, study.trials.count()) == ((), True, 2)
    assert study.trials.get(number=1).status == "cancelled"
    assert study.best_trial == trial


@pytest.mark.django_db(transaction=True)
def test_a_trial_is_broken_off_when_the_time_is_up() -> None:
    study, trial = begun(**{**LONG, "time_budget_seconds": 600})
    started = timezone.now() - timedelta(seconds=598)
    Study.objects.filter(pk=study.pk).update(started_at=started)
    searches.work(str(trial.pk))
    trial.refresh_from_db()
    assert trial.status == "cancelled"
    assert "time was up" in trial.error
    study.refresh_from_db()
    studying.close(study)
    assert study.status == "failed"
    assert "more time" in study.error


def test_the_rows_are_read_once_and_gone_at_the_end() -> None:
    study, trial = begun()
    searches.work(str(trial.pk))
    folder = study_data.folder_of(study.pk)
    read = (folder / "rows.arrow").stat().st_mtime_ns
    (following,) = searches.go_on(study).trials or [str(study.trials.open().get().pk)]
    searches.work(following)
    assert (folder / "rows.arrow").stat().st_mtime_ns == read
    studying.search(study)
    assert not folder.exists()


def test_rows_that_a_killed_worker_left_are_cleared() -> None:
    study, trial = begun()
    searches.work(str(trial.pk))
    stray = Path(settings.FEATURE_ROOT) / "studies" / "stray"
    stray.mkdir()
    tasks.clear_leftovers()
    assert not stray.exists()
    assert study_data.folder_of(study.pk).exists()
    Study.objects.update(status=StudyStatus.FAILED)
    tasks.clear_leftovers()
    assert not study_data.folder_of(study.pk).exists()


def test_parameters_that_always_fail_end_the_search(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise TrainingError("c", "no good")

    monkeypatch.setattr(logistic_regression, "fit", refuse)
    study = studying.ask(model, algorithms=("logistic_regression",), trials=50)
    studying.close(studying.search(study))
    assert (study.status, study.trials.count()) == ("failed", 3)
    assert "no good" in study.error
