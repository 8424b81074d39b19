"""A training through the API: asked for, done by a worker, told on the job."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from django.conf import settings
from rest_framework.test import APIClient

from models_app import bundles
from models_app.models import RegisteredModel
from tests.factories import make_model, write_dataset
from tests.training import data
from training import jobs, reporting, steps
from training.ml import pipeline
from training.ml.algorithms import xgboost
from training.models import TrainingJob

Train = Callable[..., TrainingJob]
QUEUE = "celery:training"
TRAIN = "/api/v1/models/fraud/train"
pytestmark = pytest.mark.usefixtures("model")


def test_a_request_is_accepted_and_queued(client: APIClient) -> None:
    answer = client.post(TRAIN, {"dataset_path": write_dataset(), "parameters": {"seed": 7}})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["status"], job["progress"], job["attempts"], job["version"]) == (
        "queued",
        0,
        0,
        None,
    )
    assert (job["model"], job["parameters"]) == ("fraud", {"seed": 7})
    assert client.get(answer["Location"]).json() == job


def test_the_workers_are_told_the_job_s_id_after_the_commit(
    client: APIClient,
    redis_connection: redis.Redis,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    body = {"dataset_path": write_dataset()}
    with django_capture_on_commit_callbacks(execute=True):
        job = client.post(TRAIN, body).json()
        assert redis_connection.llen(QUEUE) == 0
    (message,) = redis_connection.lrange(QUEUE, 0, -1)
    assert job["id"].encode() in message


def test_a_finished_job_tells_everything(client: APIClient, train: Train) -> None:
    done = train(write_dataset())
    job = client.get(f"/api/v1/models/fraud/training-jobs/{done.pk}").json()
    assert (job["status"], job["progress"], job["step"]) == ("succeeded", 100, "done")
    assert (job["version"], job["error"], job["attempts"]) == (1, "", 1)
    assert job["seconds"] > 0
    assert 0.5 < job["metrics"]["test"]["auroc"] <= 1
    log = "\n".join(job["log_tail"])
    for told in ("Read 600 rows", "Label is_fraud", "Split by time (timestamp), gap 7 days",
                 "Held-out AUROC", "ONNX and xgboost scores agree"):  # fmt: skip
        assert told in log


def test_the_confusion_matrix_fits_the_other_numbers(train: Train) -> None:
    test = train(write_dataset(rows=1500)).metrics["test"]
    cells = test["confusion_matrix"]
    assert sum(cells.values()) == test["rows"] == 150
    assert cells["tp"] + cells["fn"] == test["frauds"]
    assert test["recall"] == pytest.approx(cells["tp"] / test["frauds"])
    assert test["precision"] == pytest.approx(cells["tp"] / (cells["tp"] + cells["fp"]))
    assert test["f1"] == pytest.approx(
        2 * test["precision"] * test["recall"] / (test["precision"] + test["recall"])
    )


def test_the_parameters_of_the_request_win_over_the_model_s_over_the_configured(
    train: Train, model: RegisteredModel
) -> None:
    model.parameters = {"n_estimators": 4, "max_depth": 2}
    model.save()
    version = train(write_dataset(), max_depth=3).version
    assert version is not None
    used = version.parameters
    assert (used["n_estimators"], used["max_depth"], used["learning_rate"]) == (4, 3, 0.1)
    assert (used["base_score"], used["max_bin"]) == (0.5, 2048)
    assert version.metrics["rounds"] == 4


def test_early_stopping_keeps_the_best_trees(train: Train) -> None:
    job = train(write_dataset(rows=1500), n_estimators=300, early_stopping_rounds=5)
    assert 0 < job.metrics["rounds"] < 300


def test_the_curve_has_a_point_a_tree(train: Train) -> None:
    curve = train(write_dataset()).curve
    assert [point["round"] for point in curve] == [1, 2, 3, 4, 5]
    assert all(0 <= point["validation_ap"] <= 1 for point in curve)


def test_the_bundle_says_where_the_model_comes_from(train: Train) -> None:
    job = train(write_dataset())
    version = job.version
    assert version is not None
    manifest, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    lineage = manifest["lineage"]
    assert lineage == version.lineage
    assert (lineage["job"], lineage["dataset"]["path"]) == (str(job.pk), "payments.csv")
    assert (lineage["dataset"]["rows"], lineage["split"]["method"]) == (600, "time")
    assert {"xgboost", "onnxruntime", "python"} <= set(lineage["libraries"])
    assert lineage["code_version"] == settings.CODE_VERSION
    card = files["card.md"].decode()
    assert card.startswith("# fraud\n")
    assert f"| AUROC | {version.metrics['test']['auroc']:.4f} |" in card


def test_the_same_file_and_seed_give_the_same_model(train: Train) -> None:
    first, second = (train(write_dataset(), seed=3, subsample=0.7).version for _ in range(2))
    assert first is not None
    assert second is not None
    assert {**first.metrics, "seconds": {}} == {**second.metrics, "seconds": {}}
    files = [bundles.read(v.bundle_folder, digest=v.bundle_digest)[1] for v in (first, second)]
    assert files[0]["model.ubj"] == files[1]["model.ubj"]
    assert first.bundle_digest != second.bundle_digest  # each names its job


def test_a_finished_job_is_not_done_again(train: Train) -> None:
    job = train(write_dataset())
    jobs.train(str(job.pk))
    assert job.model.versions.count() == 1


def test_jobs_are_listed_newest_first_and_by_status(client: APIClient, train: Train) -> None:
    done = train(write_dataset())
    queued = client.post(TRAIN, {"dataset_path": write_dataset()}).json()["id"]

    def listed(query: str = "") -> list[str]:
        answer = client.get(f"/api/v1/models/fraud/training-jobs?{query}")
        return [job["id"] for job in answer.json()["results"]]

    assert listed() == [queued, str(done.pk)]
    assert listed("status=succeeded") == [str(done.pk)]
    assert client.get("/api/v1/models/fraud/training-jobs?status=odd").status_code == 400


def test_a_job_of_another_model_is_not_found(client: APIClient, train: Train) -> None:
    make_model("other")
    job = train(write_dataset())
    assert client.get(f"/api/v1/models/other/training-jobs/{job.pk}").status_code == 404


def test_a_model_by_id_is_trained_like_one_by_name(
    client: APIClient, model: RegisteredModel
) -> None:
    body = {"dataset_path": data.put("sub/folder/payments.csv", data.table())}
    answer = client.post(f"/api/v1/models/{model.pk}/train", body)
    assert answer.status_code == 202


def test_the_time_that_is_left_is_told_by_the_pace_of_the_fit(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree takes a second of a clock that only the fit moves."""
    now, told = 0.0, []

    def tick() -> float:
        return now

    write = TrainingJob.write

    def look(job: TrainingJob, **values: object) -> bool:
        done = write(job, **values)
        job.refresh_from_db(fields=["status", "expected_end", "step"])
        if job.step.startswith("fit: "):
            told.append((job.step, job.eta_seconds))
        return done

    fit = xgboost.fit

    def slow(train_part: Any, validation: Any, parameters: Any, context: Any) -> Any:
        def watch(done: Any) -> None:
            nonlocal now
            now += 1
            context.watch(done)

        return fit(train_part, validation, parameters, replace(context, watch=watch))

    monkeypatch.setattr(reporting.time, "monotonic", tick)
    monkeypatch.setattr(TrainingJob, "write", look)
    monkeypatch.setattr(xgboost, "fit", slow)
    train(write_dataset())
    left = {step: seconds for step, seconds in told if seconds is not None}
    assert left["fit: 3 of 5"] == pytest.approx(2, abs=0.5)
    assert left["fit: 5 of 5"] == 0


def test_a_job_of_a_model_that_was_trained_before_knows_what_comes_after_the_fit(
    train: Train, client: APIClient, model: RegisteredModel
) -> None:
    job = train(write_dataset())
    usual = job.metrics["seconds"]
    assert steps.seconds_from("export", usual) == pytest.approx(
        usual["export"] + usual["check parity"]
    )
    assert steps.seconds_from("load", usual) is None  # nobody knows how long the fit takes


def test_the_steps_are_those_of_the_pipeline() -> None:
    assert set(pipeline.STEPS) <= set(steps.STEPS)
    assert steps.STEPS.index(steps.AFTER_FIT) == steps.STEPS.index(steps.FIT) + 1
