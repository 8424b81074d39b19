"""A file that is another one when its training starts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.factories import write_dataset
from tests.training import data
from training import fingerprints, jobs
from training.models import TrainingJob

TRAIN = "/api/v1/models/fraud/train"
Nothing = Callable[[], bool]
pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def queued(client: APIClient, model: RegisteredModel) -> Callable[[], TrainingJob]:
    """A job on payments.csv that a worker has not taken."""

    def ask() -> TrainingJob:
        answer = client.post(TRAIN, {"dataset_path": write_dataset()})
        return TrainingJob.objects.get(pk=answer.json()["id"])

    return ask


def run(job: TrainingJob) -> TrainingJob:
    jobs.train(str(job.pk))
    job.refresh_from_db()
    return job


def test_a_file_that_was_replaced_fails_the_job(
    queued: Callable[[], TrainingJob], nothing_left: Nothing
) -> None:
    job = queued()
    write_dataset(seed=2)
    run(job)
    assert (job.status, job.error_field) == ("failed", "dataset_path")
    assert "the file was replaced after the job was requested" in job.error
    assert nothing_left()


def test_a_byte_is_enough_though_size_and_time_are_as_before(
    queued: Callable[[], TrainingJob],
) -> None:
    job = queued()
    path = data.path_of("payments.csv")
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content[:-2] + (b"1" if content[-2:-1] == b"0" else b"0") + content[-1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "the file was replaced" in run(job).error


def test_a_copy_of_the_same_bytes_is_the_same_file(queued: Callable[[], TrainingJob]) -> None:
    job = queued()
    path = data.path_of("payments.csv")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert run(job).status == "succeeded"


def test_running_again_takes_the_new_file(
    client: APIClient, queued: Callable[[], TrainingJob]
) -> None:
    job = queued()
    write_dataset(seed=2)
    run(job)
    again = client.post(f"/api/v1/models/fraud/training-jobs/{job.pk}/retry").json()
    assert run(TrainingJob.objects.get(pk=again["id"])).status == "succeeded"


def test_a_job_from_before_files_were_remembered_runs(queued: Callable[[], TrainingJob]) -> None:
    job = queued()
    TrainingJob.objects.update(fingerprint={})
    assert run(job).status == "succeeded"


@pytest.mark.parametrize("place", [0, 5000, -1])
def test_of_a_large_file_samples_and_the_time_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(fingerprints, "WHOLE", 1000)
    monkeypatch.setattr(fingerprints, "SAMPLE", 100)
    path = tmp_path / "large.csv"
    path.write_bytes(bytes(10_000))
    with path.open("rb") as file:
        known: dict[str, Any] = fingerprints.take(file)
        assert known["method"] == "sampled"
        assert fingerprints.is_same(known, file)
        assert file.tell() == 0
    changed = bytearray(10_000)
    changed[place] = 1
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    with path.open("rb") as file:
        assert not fingerprints.is_same(known, file)
