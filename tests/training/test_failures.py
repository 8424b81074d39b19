"""When the training itself fails: the job says so, and nothing of it stays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from tests.factories import write_dataset
from training import jobs
from training.ml import parity
from training.ml.algorithms import xgboost
from training.ml.errors import TrainingError
from training.models import TrainingJob

Train = Callable[..., TrainingJob]
Nothing = Callable[[], bool]


def test_a_model_whose_onnx_gives_other_scores_is_never_registered(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the exporter had a bug: it drops the last tree."""
    onnx = xgboost.Fitted.onnx

    def careless(fitted: xgboost.Fitted) -> bytes:
        return onnx(xgboost.Fitted(fitted.booster[: fitted.rounds - 1]))

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


def test_a_bug_fails_the_job_without_telling_its_insides_and_reaches_the_log(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(xgboost, "fit", broken)
    with pytest.raises(RuntimeError):
        train(write_dataset())
    job = TrainingJob.objects.get()
    assert (job.status, job.error) == (
        "failed", "An internal error; the worker's log has the details.",
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


def test_a_full_disk_fails_the_job_and_leaves_nothing(
    train: Train, nothing_left: Nothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs.bundles, "_sync_folder", full)
    with pytest.raises(OSError, match="No space"):
        train(write_dataset())
    assert TrainingJob.objects.get().status == "failed"
    assert nothing_left()
