"""A search over algorithms: how its time is shared, and what comes of it."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.training import studying
from training import jobs, searches
from training.ml.algorithms import xgboost
from training.ml.allocation import Tried, next_algorithm
from training.ml.errors import TrainingError
from training.models import Study, TrainingJob
from training.services import closing

NAMES = ("xgboost", "logistic_regression", "random_forest")
TINY: dict[str, Any] = {
    "is_automl": True,
    "algorithms": ("xgboost", "logistic_regression"),
    "trials": 4,
    "space": {"xgboost": {"n_estimators": {"low": 5, "high": 12}}},
}


def ended(name: str, value: float | None, seconds: float = 1.0) -> Tried:
    return Tried(name, is_open=False, value=value, seconds=seconds)


def test_each_algorithm_comes_once_the_quickest_first() -> None:
    order = []
    tried: list[Tried] = []
    for _ in NAMES:
        name = next_algorithm(NAMES, tried)
        assert name is not None
        order.append(name)
        tried.append(ended(name, 0.5))
    assert order == ["logistic_regression", "xgboost", "random_forest"]


def test_the_best_gets_half_of_the_time_and_the_second_a_quarter() -> None:
    values = {"xgboost": 0.7, "random_forest": 0.65, "logistic_regression": 0.6}
    tried = [ended(name, value) for name, value in values.items()]
    for _ in range(60):
        name = next_algorithm(NAMES, tried)
        assert name is not None
        tried.append(ended(name, values[name]))
    counts = [sum(t.algorithm == name for t in tried) for name in values]
    assert counts == pytest.approx([36, 18, 9], abs=1)


def test_time_counts_and_not_the_number_of_trials() -> None:
    tried = [ended("xgboost", 0.7, 10), ended("logistic_regression", 0.6, 1)]
    names = ("xgboost", "logistic_regression")
    assert next_algorithm(names, tried) == "logistic_regression"  # 1 s by now, and 5 are its own
    tried += [ended("logistic_regression", 0.6, 5)]
    assert next_algorithm(names, tried) == "xgboost"


def test_an_algorithm_that_gave_nothing_is_given_up() -> None:
    tried = [ended("xgboost", None), ended("logistic_regression", 0.6)]
    names = ("xgboost", "logistic_regression")
    assert next_algorithm(names, tried) == "logistic_regression"
    assert next_algorithm(names, [*tried[:1], ended("logistic_regression", None)]) is None
    assert next_algorithm(["xgboost"], tried[:1]) == "xgboost"  # a search gives up later


def test_while_first_trials_go_on_the_others_help() -> None:
    tried = [Tried("xgboost", is_open=True), Tried("logistic_regression", is_open=True)]
    assert next_algorithm(("xgboost", "logistic_regression"), tried) in NAMES


def test_automl_ends_with_the_better_of_the_best_and_their_ensemble(
    model: RegisteredModel, client: APIClient
) -> None:
    study = studying.ask(model, **TINY)
    studying.search(study)
    assert {t.algorithm for t in study.trials.all()} == {"xgboost", "logistic_regression"}

    closing.advance(study_id=str(study.pk))
    trained = list(TrainingJob.objects.order_by("created_at"))
    assert {job.algorithm for job in trained} == {"xgboost", "logistic_regression"}
    for job in trained:
        jobs.train(str(job.pk))
    closing.advance(study_id=str(study.pk))
    study.refresh_from_db()
    assert study.ensemble_job is not None, study.verdict
    assert study.ensemble_job.parameters["members"] == ["fraud@1", "fraud@2"]
    jobs.train(str(study.ensemble_job.pk))
    closing.advance(study_id=str(study.pk))

    told = client.get(f"/api/v1/models/fraud/studies/{study.pk}").json()
    assert told["status"] == "succeeded", told["error"]
    found = {
        version.number: version.metrics["validation"]["average_precision"]
        for version in model.versions.all()
    }
    assert len(found) == 3
    singles = max(found[1], found[2])
    assert (told["version"] == 3) == (found[3] > singles)
    assert f"{found[3]:.4f} of the ensemble" in told["verdict"]


def test_automl_with_one_usable_algorithm_ends_with_its_version(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise TrainingError("algorithm", "not today")

    monkeypatch.setattr(xgboost, "fit", refuse)
    study = studying.ask(model, **TINY)
    studying.close(studying.search(study))
    assert study.status == "succeeded", study.error
    assert study.version is not None
    assert study.version.algorithm == "logistic_regression"
    assert "one version only" in study.verdict
    assert study.trials.filter(algorithm="xgboost").count() == 1


def test_the_model_s_own_parameters_are_for_its_own_algorithm(model: RegisteredModel) -> None:
    assert "n_estimators" in model.parameters  # of XGBoost
    study = studying.ask(model, algorithms=("logistic_regression",), trials=1)
    studying.close(studying.search(study))
    assert study.version is not None, study.error
    assert "n_estimators" not in study.version.parameters


def test_time_is_left_for_the_trainings_at_the_end(model: RegisteredModel) -> None:
    study = studying.ask(model, **{**TINY, "trials": None, "time_budget_seconds": 600})
    Study.objects.update(status="running", started_at=study.created_at)
    study.refresh_from_db()
    whole = searches.search_ends(study)
    study.trials.create(
        number=0, algorithm="xgboost", status="succeeded", value=0.5,
        started_at=study.created_at, finished_at=study.created_at + timedelta(seconds=30),
    )  # fmt: skip
    less = searches.search_ends(study)
    assert whole is not None
    assert less is not None
    assert whole == study.deadline
    # half as much again as it took, and ten
    assert (whole - less).total_seconds() == pytest.approx(55)
