"""When the training itself fails: the job says so, and nothing of it stays."""

import errno
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from aegisml.base.errors import Transient
from models_app import bundles
from tests.factories import write_dataset
from training import jobs
from training.ml import parity
from training.ml.algorithms import xgboost
from training.ml.errors import TrainingError
from training.models import TrainingJob
from training.queue import why_waiting

Train = Callable[..., TrainingJob]
Nothing = Callable[[], bool]


def test_a_model_whose_onnx_gives_other_scores_is_never_registered(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the exporter had a bug: it drops the last tree."""
    onnx = xgboost.Fitted.onnx

    def careless(fitted: xgboost.Fitted) -> bytes:
        shorter = fitted.booster[: fitted.rounds - 1]
        return onnx(xgboost.Fitted(shorter, fitted.parameters))

    monkeypatch.setattr(xgboost.Fitted, "onnx", careless)
    job = train(write_dataset())
    assert (job.status, job.error_field) == ("failed", "export")
    assert "ONNX scores differ" in job.error
    assert nothing_left()


@pytest.mark.parametrize("difference", [2e-5, float("nan")])
def test_the_gate_is_shut_above_a_hundred_thousandth(train: Train, difference: float) -> None:
    version = train(write_dataset()).version
    assert version is not None
    onnx = (version.bundle_folder / "model.onnx").read_bytes()
    matrix = np.zeros((3, 7), np.float32)
    scores = np.zeros(3)
    scores += parity_scores(onnx, matrix)
    assert parity.check(onnx, matrix, scores) == 0
    with pytest.raises(TrainingError, match="ONNX scores differ"):
        parity.check(onnx, matrix, scores + np.array([0, 0, difference]))


def parity_scores(onnx: bytes, matrix: Any) -> Any:
    session = parity.ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"input": matrix})[0][:, 1]


def test_a_bug_ends_the_job_without_telling_its_insides_and_reaches_the_log(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(xgboost, "fit", broken)
    with pytest.raises(RuntimeError):
        train(write_dataset())
    job = TrainingJob.objects.get()
    assert (job.status, job.error) == (
        "errored", "An internal error; the worker's log has the details.",
    )  # fmt: skip
    assert nothing_left()


def test_a_job_over_its_time_limit_says_so(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*args: Any, **kwargs: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(xgboost, "fit", too_slow)
    job = train(write_dataset())
    assert (job.status, job.error) == ("failed", "Stopped after the time limit of 3600 seconds.")
    assert nothing_left()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_the_job_with_a_sentence_and_leaves_no_half_version(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*args: Any) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(bundles, "_sync_folder", full)
    job = train(write_dataset())
    assert job.status == "errored"
    assert job.error.startswith("The disk is full, and nothing of the version was kept.")
    assert nothing_left()


def test_too_little_memory_is_told_as_such(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(xgboost, "fit", hungry)
    job = train(write_dataset())
    assert (job.status, job.is_quarantined) == ("errored", False)
    assert "memory does not suffice" in job.error
    assert nothing_left()


def test_a_job_that_runs_out_of_time_stops_at_its_next_round(
    train: Train, nothing_left: Nothing, settings: Any
) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"job_timeout": 0})
    job = train(write_dataset())
    assert (job.status, job.error) == ("failed", "Stopped after the time limit of 0 seconds.")
    assert nothing_left()


# --- what may go through in a moment ---


class Broken:
    """A library that fails with `error` the first `times`, and then does its work."""

    def __init__(self, error: Exception, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._error, self._left, self._fit = error, times, xgboost.fit
        monkeypatch.setattr(xgboost, "fit", self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            raise self._error
        return self._fit(*args, **kwargs)


AWAY = OperationalError("server closed the connection unexpectedly")


def wait_over(job: TrainingJob) -> None:
    """As if the pause before the next attempt had passed."""
    TrainingJob.objects.filter(pk=job.pk).update(not_before=timezone.now())


@pytest.mark.parametrize("error", [AWAY, InterfaceError("gone"), Transient("The store is away.")])
def test_a_passing_trouble_is_tried_again_after_a_pause(
    train: Train, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    Broken(error, 1, monkeypatch)
    job = train(write_dataset())
    assert job.status == "queued"
    assert job.not_before is not None
    assert 0 < (job.not_before - timezone.now()).total_seconds() <= 5
    assert "tried again at" in str(why_waiting(job))
    assert not jobs.work()  # not yet
    wait_over(job)
    assert jobs.requeue_stalled() == [str(job.pk)]
    assert jobs.work()
    job.refresh_from_db()
    assert (job.status, job.attempts, job.deaths, job.error) == ("succeeded", 2, 0, "")


def test_a_trouble_that_does_not_pass_is_given_up_after_some_tries(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(AWAY, 3, monkeypatch)
    job = train(write_dataset())
    for _ in range(2):
        wait_over(job)
        jobs.work()
    job.refresh_from_db()
    assert (job.status, job.attempts, job.is_quarantined) == ("errored", 3, False)
    assert job.error.startswith("The database was not reachable for a moment. The job was tried 3")
    assert nothing_left()


def test_a_mistake_of_the_request_is_not_tried_again(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(TrainingError("amount", "is odd"), 1, monkeypatch)
    assert train(write_dataset()).status == "failed"


def test_a_job_that_is_cancelled_while_its_trouble_passes_is_cancelled(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_and_is_cancelled(*args: Any, **kwargs: Any) -> None:
        TrainingJob.objects.get().request_cancel()
        raise AWAY

    monkeypatch.setattr(xgboost, "fit", fails_and_is_cancelled)
    assert train(write_dataset()).status == "cancelled"


def test_progress_that_can_not_be_written_costs_nothing_but_the_progress(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = TrainingJob.write, iter(range(1000))

    def away_for_a_while(job: TrainingJob, **values: Any) -> bool:
        if 2 <= next(calls) < 6:
            raise AWAY
        return write(job, **values)

    monkeypatch.setattr(TrainingJob, "write", away_for_a_while)
    job = train(write_dataset())
    assert (job.status, job.attempts) == ("succeeded", 1)
