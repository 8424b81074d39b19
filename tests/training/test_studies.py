"""A study from its request to a version."""

from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.factories import make_model
from tests.training import data, studying
from training.ml import searching
from training.models import Study, TrainingJob

TUNE = "/api/v1/models/fraud/tune"
BOOSTED = {
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
    "max_depth": {"low": 1, "high": 6},
}

pytestmark = pytest.mark.usefixtures("model")


def tune(client: APIClient, **body: Any) -> Any:
    given = {"dataset_path": studying.dataset(), **body}
    return client.post(TUNE, given)


def test_a_study_is_accepted_and_queued(client: APIClient) -> None:
    answer = tune(client, trials=3, space=BOOSTED, parameters={"seed": 7})
    assert answer.status_code == 202
    study = answer.json()
    assert (study["status"], study["phase"], study["progress"]) == ("queued", "search", 0)
    assert (study["model"], study["algorithms"]) == ("fraud", ["xgboost"])
    assert (study["trials_wanted"], study["time_budget_seconds"]) == (3, None)
    assert client.get(answer["Location"]).json() == study
    (listed,) = client.get("/api/v1/models/fraud/studies").json()["results"]
    assert listed == {name: study[name] for name in listed}


def test_the_best_trial_becomes_a_version(client: APIClient) -> None:
    answer = tune(client, trials=5, space=BOOSTED, parameters={"n_estimators": 8})
    study = studying.close(studying.search(Study.objects.get()))

    told = client.get(answer["Location"]).json()
    values = [trial["value"] for trial in told["trials"]]
    assert (told["status"], told["progress"], len(values)) == ("succeeded", 100, 5)
    assert told["best"]["value"] == told["best_value"] == max(values)
    assert study.version is not None
    assert told["version"] == study.version.number
    best = told["best"]["parameters"]
    assert {name: study.version.parameters[name] for name in best} == best
    assert study.version.parameters["n_estimators"] == 8
    validation = study.version.metrics["validation"]["average_precision"]
    assert validation == pytest.approx(max(values), abs=0.02)  # calibration makes ties


def test_the_first_trial_is_what_a_training_without_a_study_would_take(
    client: APIClient,
) -> None:
    make_model("plain", parameters={"max_depth": 5, "n_estimators": 6})
    body = {"dataset_path": studying.dataset(), "trials": 1, "space": BOOSTED}
    client.post("/api/v1/models/plain/tune", body)
    study = studying.search(Study.objects.get())
    assert study.trials.get().parameters == {"learning_rate": 0.1, "max_depth": 5}


def test_the_importance_of_parameters_is_told_after_four_trials(client: APIClient) -> None:
    answer = tune(client, trials=5, space=BOOSTED, parameters={"n_estimators": 5})
    studying.search(Study.objects.get())
    (found,) = client.get(answer["Location"]).json()["importance"]
    assert (found["algorithm"], found["trials"]) == ("xgboost", 5)
    assert {share["parameter"] for share in found["shares"]} == set(BOOSTED)
    assert sum(share["share"] for share in found["shares"]) == pytest.approx(1, abs=0.001)


def test_the_same_seed_finds_the_same(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "STARTUP", 3)  # from the fourth on by TPE
    plan: dict[str, Any] = {"algorithms": ("logistic_regression",), "trials": 5}
    once, again = (studying.search(studying.ask(model, **plan)) for _ in range(2))
    assert once.best_trial is not None
    assert again.best_trial is not None
    assert once.best_trial.parameters == again.best_trial.parameters
    assert [t.value for t in once.trials.all()] == [t.value for t in again.trials.all()]
    other = studying.search(studying.ask(model, parameters={"seed": 1}, **{**plan, "trials": 2}))
    assert other.trials.get(number=1).parameters != once.trials.get(number=1).parameters


def test_the_test_rows_have_no_say(model: RegisteredModel) -> None:
    """Whatever stands in the newest tenth of the rows, the trials find the same."""
    plain = data.table(studying.ROWS)
    amount = plain["amount"].to_numpy().copy()
    amount[-60:] = np.random.default_rng(3).permutation(amount[-60:]) * 10
    other = studying.dataset("other.parquet", amount=amount)
    first = studying.search(studying.ask(model))
    second = studying.search(studying.ask(model, dataset_path=other))
    assert [t.value for t in first.trials.all()] == [t.value for t in second.trials.all()]


def test_unpromising_trials_are_pruned(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "UNPRUNED", 2)
    study = studying.ask(
        model, trials=6, parameters={"n_estimators": 20, "max_depth": 3}, sampler="random",
        space={"learning_rate": {"low": 0.001, "high": 1.0, "log": True},
               "min_child_weight": {"low": 0.1, "high": 1000.0, "log": True}},
    )  # fmt: skip
    studying.search(study)
    pruned = study.trials.filter(status="pruned")
    assert pruned.exists()
    assert {trial.value for trial in pruned} == {None}
    assert all(2 <= trial.curve[-1][0] < 10 for trial in pruned)  # tenths of the fit
    assert studying.states(study).count("pruned") == pruned.count()
    assert study.best_trial is not None
    assert study.best_trial.status == "succeeded"


def test_without_a_pruner_every_trial_goes_to_its_end(model: RegisteredModel) -> None:
    study = studying.ask(
        model, trials=6, pruner="none", parameters={"n_estimators": 5}, space=BOOSTED
    )
    studying.search(study)
    assert set(study.trials.values_list("status", flat=True)) == {"succeeded"}


@pytest.mark.parametrize("metric", ["auroc", "card_precision_at_100"])
def test_another_metric_is_what_the_trials_are_ranked_by(
    model: RegisteredModel, metric: str
) -> None:
    cards = np.array([f"c{i % 40}" for i in range(studying.ROWS)])
    study = studying.ask(
        model,
        dataset_path=studying.dataset(customer_id=cards),
        metric=metric,
        parameters={"known_entities": "keep", "overrides": {"known_entities": "tests"}},
        **studying.SMALL,
    )
    studying.search(study)
    values = [trial.value for trial in study.trials.all()]
    assert study.best_trial is not None, study.error
    assert study.best_trial.value == max(values)


def test_rows_that_no_trial_can_use_end_the_study_at_once(
    model: RegisteredModel, client: APIClient
) -> None:
    study = studying.ask(model, metric="card_precision_at_100", **studying.SMALL)
    studying.search(study)
    told = client.get(f"/api/v1/models/fraud/studies/{study.pk}").json()
    assert (told["status"], told["error_field"]) == ("failed", "metric")
    assert "entity_column" in told["error"]
    assert len(told["trials"]) == 1


def test_a_suspected_leak_ends_a_study_and_can_be_overridden(model: RegisteredModel) -> None:
    copied = data.table(studying.ROWS)["is_fraud"].to_numpy() * 3.0
    name = studying.dataset("leaky.parquet", verdict=copied)
    study = studying.search(studying.ask(model, dataset_path=name))
    assert (study.status, study.error_field) == ("failed", "leak")
    assert "verdict" in study.error
    overrides = {"overrides": {"leak": "it is a test"}}
    again = studying.search(studying.ask(model, dataset_path=name, parameters=overrides))
    assert again.best_trial is not None


def test_a_file_that_is_replaced_meanwhile_ends_the_study(model: RegisteredModel) -> None:
    study = studying.ask(model)
    studying.dataset(amount=np.arange(studying.ROWS) * 1.0)
    studying.search(study)
    assert (study.status, study.error_field) == ("failed", "dataset_path")
    assert "replaced" in study.error


def test_the_version_is_trained_on_the_study_s_very_file(model: RegisteredModel) -> None:
    study = studying.search(studying.ask(model))
    studying.dataset(amount=np.arange(studying.ROWS) * 1.0)
    studying.close(study)
    assert study.status == "failed"
    assert "replaced" in study.error
    assert TrainingJob.objects.get().fingerprint == study.fingerprint


def test_the_same_key_gives_the_same_study_and_no_other_one(client: APIClient) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": "tune-1"}
    body = {"dataset_path": studying.dataset(), "trials": 3}
    first, second = (client.post(TUNE, body, **key).json() for _ in range(2))
    assert first["id"] == second["id"]
    other = client.post(TUNE, {**body, "trials": 4}, **key)
    assert (other.status_code, Study.objects.count()) == (409, 1)
    assert first["id"] in other.json()["detail"]
