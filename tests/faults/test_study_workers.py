"""A study in real workers: shared by two, of which one is killed in the middle of a trial."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from aegisml.base import pool
from tests.factories import make_model
from tests.faults.trainers import DEAF, trainer, wait_for
from tests.training import data, studying
from training import automation, study_data, tasks
from training.models import Study, Trial
from training.services import studies

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TRIALS = 6
ROWS = 3000
LONG = {"n_estimators": 1500, "max_bin": 64}
SPACE = {
    "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
    "max_depth": {"low": 3, "high": 6},
}


@pytest.fixture(autouse=True)
def _folders_of_each_test(own_folders: Path) -> None:
    """What the workers write is this test's alone."""


def ask(**plan: object) -> Study:
    return studying.ask(
        make_model("fraud"),
        dataset_path=data.put("many.parquet", data.table(ROWS)),
        parameters=LONG,
        space=SPACE,
        pruner="none",
        **plan,
    )


def fitting(study: Study, count: int) -> list[Trial]:
    """Trials that workers are at, once there are so many."""

    def look() -> list[Trial] | None:
        found = list(study.trials.filter(status="running", step__startswith="fit: "))
        return found if len(found) >= count else None

    return wait_for(look, f"{count} trials at work", 180)


def looked_after(study: Study, seconds: float) -> Study:
    """The study at its end, while the chores of the beat are done each second."""
    deadline = time.monotonic() + seconds
    while not study.is_finished and time.monotonic() < deadline:
        automation.look_after_studies()
        time.sleep(1)
        study.refresh_from_db()
    return study


def kill(process: psutil.Process) -> None:
    """As `kill -9` of the worker and its pool, in one moment."""
    family = [process, *process.children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=10)


def test_a_study_outlives_one_of_its_two_workers_and_leaves_no_zombie(own_folders: Path) -> None:
    limits = {"lease_seconds": 5, "max_workers": 2}
    with (
        trainer(own_folders, name="first", **limits) as first,
        trainer(own_folders, name="second", **limits),
    ):
        study = ask(trials=TRIALS, workers=2)
        one, two = fitting(study, 2)[:2]
        assert one.worker != two.worker
        of_first = str(first.child().pid)
        lost = next(t for t in (one, two) if t.worker.endswith(f":{of_first}"))
        before = lost.parameters
        kill(first.master)
        looked_after(study, 240)

    assert study.status == "succeeded", study.error
    found = {trial.number: trial for trial in study.trials.all()}
    assert sorted(found) == list(range(TRIALS))
    assert {trial.status for trial in found.values()} == {"succeeded"}
    again = found[lost.number]
    assert (again.attempts, again.parameters) == (2, before)
    assert not again.worker.endswith(f":{of_first}")
    assert studying.states(study) == ["complete"] * TRIALS
    assert study.version is not None
    assert not study_data.folder_of(study.pk).exists()


def test_a_trial_that_does_not_listen_ends_within_two_seconds_of_the_cancel(
    own_folders: Path,
) -> None:
    assert not pool.may_end()
    with trainer(own_folders, program=DEAF) as worker:
        study = ask(trials=2)
        wait_for(lambda: study.trials.filter(step="fit").exists(), "fit", 120)
        child = worker.child()
        began = time.monotonic()
        studies.cancel(study=study, actor=study.requested_by)
        wait_for(lambda: not study.trials.open().exists(), "end of the trial", 20)
        took = time.monotonic() - began
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "end", 5)
        looked_after(study, 60)
    assert took < 2
    assert study.status == "cancelled"
    assert studying.states(study) == ["fail"]


def test_a_worker_that_is_stopped_hands_its_trial_back(own_folders: Path) -> None:
    with trainer(own_folders, name="first") as first:
        study = ask(trials=1)
        (trial,) = fitting(study, 1)
        first.child().send_signal(signal.SIGTERM)
        wait_for(lambda: study.trials.filter(status="queued").exists(), "trial in the queue", 10)
        kill(first.master)
    trial.refresh_from_db()
    assert trial.attempts == 0
    with trainer(own_folders, name="second"):
        tasks.run_trial.delay(str(trial.pk))
        looked_after(study, 120)
    trial.refresh_from_db()
    assert (study.status, trial.status, trial.attempts) == ("succeeded", "succeeded", 1)
    assert studying.states(study) == ["complete"]
