"""A fit goes on from its own checkpoint, and from nothing else."""

import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from models_app import bundles
from models_app.models import RegisteredModel
from tests.factories import make_job, make_model, write_dataset
from training import checkpoints, jobs
from training.checkpoints import JobCheckpoints
from training.ml.algorithms import xgboost
from training.ml.errors import Cancelled, TrainingError
from training.models import TrainingJob

Train = Callable[..., TrainingJob]
TREES = {"n_estimators": 40, "max_depth": 3}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _saved_at_each_chance(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"checkpoint_seconds": 0.0})


def files() -> list[Path]:
    return sorted(Path(django_settings.CHECKPOINT_ROOT).rglob("*.state"))


def of(job_id: uuid.UUID, name: str = "fit", digest: str = "d") -> checkpoints.FileCheckpoints:
    return JobCheckpoints(job_id)(name, digest)


class Killed(BaseException):
    """What kill -9 is to a process: nothing of it is caught."""


@pytest.fixture
def die_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The next fit dies after so many trees, as if its process had been killed."""
    write = TrainingJob.write

    def arm(trees: int) -> None:
        def dying(job: TrainingJob, **values: Any) -> bool:
            if values.get("step", "").startswith("fit: "):
                done = int(values["step"].split()[1])
                if done >= trees:
                    monkeypatch.setattr(TrainingJob, "write", write)
                    raise Killed
            return write(job, **values)

        monkeypatch.setattr(TrainingJob, "write", dying)
        monkeypatch.setattr("training.reporting.WRITE_EVERY", 0)

    return arm


def killed(job: TrainingJob) -> TrainingJob:
    """The job after its worker died in the fit, queued again."""
    with pytest.raises(Killed):
        jobs.train(str(job.pk))
    TrainingJob.objects.filter(pk=job.pk).update(lease_until="2026-01-01T00:00:00Z")
    assert jobs.requeue_stalled() == [str(job.pk)]
    return job


def trees_of(job: TrainingJob) -> bytes:
    job.refresh_from_db()
    assert job.version is not None, job.error
    _, found = bundles.read(job.version.bundle_folder, digest=job.version.bundle_digest)
    return found["model.ubj"]


@pytest.fixture
def fitted_rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds that were computed, in whichever attempt."""
    seen: list[int] = []
    fit = xgboost.fit

    def counting(train: Any, validation: Any, parameters: Any, context: Any) -> Any:
        watch = context.watch

        def count(done: Any) -> None:
            if done.done:
                seen.append(done.done)
            watch(done)

        return fit(train, validation, parameters, replace(context, watch=count))

    monkeypatch.setattr(xgboost, "fit", counting)
    return seen


def test_a_killed_fit_goes_on_and_ends_with_the_same_model(
    die_after: Callable[[int], None], fitted_rounds: list[int]
) -> None:
    job = make_job(make_model("grown", parameters=TREES))
    die_after(25)
    killed(job)
    before = len(fitted_rounds)
    assert before == 25
    assert len(files()) == 1
    assert jobs.train(str(job.pk))
    assert fitted_rounds[before:] == list(range(fitted_rounds[before], 41))
    assert fitted_rounds[before] > 1
    job.refresh_from_db()
    shown = [point["round"] for point in job.points]
    assert shown == sorted(shown)
    assert {25} >= set(range(1, 41)) - set(shown)  # what the dying worker measured last
    whole = make_job(job.model)
    jobs.train(str(whole.pk))
    assert trees_of(job) == trees_of(whole)
    assert files() == []


def test_nothing_is_gone_on_from_when_the_parameters_changed(
    die_after: Callable[[int], None], fitted_rounds: list[int]
) -> None:
    job = make_job(make_model("grown", parameters=TREES))
    die_after(25)
    killed(job)
    job.model.parameters = {**TREES, "max_depth": 4}
    job.model.save()
    jobs.train(str(job.pk))
    assert fitted_rounds[25:] == list(range(1, 41))


@pytest.mark.parametrize("damage", ["torn", "changed", "foreign", "empty"])
def test_a_damaged_checkpoint_is_no_checkpoint(
    die_after: Callable[[int], None], fitted_rounds: list[int], damage: str
) -> None:
    job = make_job(make_model("grown", parameters=TREES))
    die_after(25)
    killed(job)
    (path,) = files()
    content = path.read_bytes()
    path.write_bytes(
        {
            "torn": content[: len(content) // 2],
            "changed": content[:-1] + bytes([content[-1] ^ 1]),
            "foreign": b"another program's file",
            "empty": b"",
        }[damage]
    )
    jobs.train(str(job.pk))
    assert fitted_rounds[25:] == list(range(1, 41))
    job.refresh_from_db()
    assert job.status == "succeeded"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_otherwise_leaves_no_checkpoint(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    job = make_job(model)
    fit = xgboost.fit

    def then_end(*args: Any, **kwargs: Any) -> Any:
        fit(*args, **kwargs)
        of(job.pk).save(b"x")
        assert files()
        if status == "cancelled":
            raise Cancelled
        raise TrainingError("amount", "is odd")

    monkeypatch.setattr(xgboost, "fit", then_end)
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert job.status == status
    assert files() == []


def test_a_fit_sees_its_own_state_only() -> None:
    one, other = uuid.uuid4(), uuid.uuid4()
    of(one).save(b"mine")
    assert of(one).load() == b"mine"
    for stranger in (of(other), of(one, "fit again"), of(one, digest="e")):
        assert stranger.load() is None


def test_the_last_state_wins() -> None:
    kept = of(uuid.uuid4())
    kept.save(b"first")
    kept.save(b"second")
    assert kept.load() == b"second"
    assert len(list(kept.path.parent.iterdir())) == 1


def test_a_save_is_due_after_its_time(settings: Any) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"checkpoint_seconds": 3600.0})
    assert not of(uuid.uuid4()).is_due()
    settings.TRAINING = settings.TRAINING.model_copy(update={"checkpoint_seconds": 0.0})
    assert of(uuid.uuid4()).is_due()


def test_a_full_disk_costs_the_checkpoint_not_the_fit(
    train: Train, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def full(handle: int) -> None:
        if "/checkpoints/" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert train(write_dataset()).status == "succeeded"


def test_states_of_jobs_that_are_over_are_cleared_and_no_others(model: RegisteredModel) -> None:
    waiting, done = make_job(model), make_job(model, status="succeeded")
    for job_id in (waiting.pk, done.pk, uuid.uuid4()):
        of(job_id).save(b"x")
    assert jobs.clear_leftovers() == 2
    assert [path.parent.name for path in files()] == [str(waiting.pk)]
