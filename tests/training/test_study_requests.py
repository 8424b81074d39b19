"""What a study may not be asked for, named field by field."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.training import studying
from training.models import Study

TUNE = "/api/v1/models/fraud/tune"

pytestmark = pytest.mark.usefixtures("model")


def ask(client: APIClient, **body: Any) -> Any:
    return client.post(TUNE, {"dataset_path": studying.dataset(), **body})


def space(**parameters: Any) -> dict[str, Any]:
    return {"space": parameters}


RANGE = {"low": 1, "high": 2}
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": (space(max_dept={"low": 1, "high": 2}), "space.max_dept", "did you mean"),
    "below": (space(max_depth={"low": 0, "high": 8}), "space.max_depth", "low must be between 1"),
    "above": (space(max_depth={"low": 1, "high": 80}), "space.max_depth", "high must be between"),
    "turned": (space(max_depth={"low": 8, "high": 2}), "space.max_depth", "low must be less"),
    "a point": (space(max_depth={"low": 3, "high": 3}), "space.max_depth", "low must be less"),
    "half": (space(max_depth={"low": 3}), "space.max_depth", "needs high"),
    "no shape": (space(max_depth=3), "space.max_depth", 'must be {"low"'),
    "a list": (space(max_depth=[1, 2]), "space.max_depth", 'must be {"low"'),
    "nothing": (space(max_depth={}), "space.max_depth", 'must be {"low"'),
    "text": (space(max_depth={"low": "1", "high": 8}), "space.max_depth", "must be a number"),
    "fraction": (space(max_depth={"low": 1.5, "high": 8}), "space.max_depth", "whole"),
    "log of 0": (space(gamma={"low": 0, "high": 8, "log": True}), "space.gamma", "above 0"),
    "log": (space(gamma={"low": 1, "high": 8, "log": 1}), "space.gamma", "log must be true"),
    "strange": (space(gamma={"low": 1, "high": 8, "step": 1}), "space.gamma", "has no 'step'"),
    "one choice": (space(max_depth={"choices": [3]}), "space.max_depth", "a list of 2"),
    "twice": (space(max_depth={"choices": [3, 3.0]}), "space.max_depth", "twice"),
    "bad choice": (space(max_depth={"choices": [3, 99]}), "space.max_depth", "99 must be"),
    "both": (space(max_depth={"choices": [3, 4], "low": 1}), "space.max_depth", "alone"),
    "empty": ({"space": {}}, "space", "at least"),
    "fixed": ({**space(gamma=RANGE), "parameters": {"gamma": 1}}, "space.gamma", "fixed"),
    "trials": ({"trials": 0}, "trials", "1 to 2,000"),
    "endless": ({"trials": 10**9}, "trials", "1 to 2,000"),
    "time": ({"time_budget_seconds": 1}, "time_budget_seconds", "5 to"),
    "workers": ({"workers": 99}, "workers", "ml.training.max_workers"),
    "metric": ({"metric": "accuracy"}, "metric", "not a valid choice"),
    "sampler": ({"sampler": "grid"}, "sampler", "not a valid choice"),
    "pruner": ({"pruner": "all"}, "pruner", "not a valid choice"),
    "algorithm": ({"algorithms": ["prophet"]}, "algorithms", "'prophet'"),
    "ensemble": ({"algorithms": ["ensemble"]}, "algorithms", "not to be tuned"),
    "same": ({"algorithms": ["xgboost", "xgboost"]}, "algorithms", "twice"),
    "parameter": ({"parameters": {"max_dept": 3}}, "parameters.max_dept", "did you mean"),
    "misspelled": ({"trails": 3}, "trails", "unknown field"),
    "no file": ({"dataset_path": "none.csv"}, "dataset_path", "no such file"),
    "automl's": ({"automl": True, "parameters": {"max_depth": 3}}, "parameters.max_depth", "own"),
    "refit": ({"automl": True, "parameters": {"refit": True}}, "parameters.refit", "validation"),
    "few": ({"automl": True, "trials": 2}, "trials", "each algorithm"),
    "foreign": ({"automl": True, **space(lstm={})}, "space.lstm", "not among"),
    "flat": ({"automl": True, **space(max_depth=RANGE)}, "space.max_depth", "not among"),
    "inner": ({"automl": True, **space(xgboost={"c": RANGE})}, "space.xgboost.c", "unknown"),
    "shape": ({"automl": True, **space(xgboost=3)}, "space.xgboost", "must be an object"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "field", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_refused_by_name(
    client: APIClient, body: dict[str, Any], field: str, sentence: str
) -> None:
    answer = ask(client, **body)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert sentence in error["message"]
    assert not Study.objects.exists()


def test_every_wrong_part_is_named_at_once(client: APIClient) -> None:
    answer = ask(client, **space(max_dept={"low": 1, "high": 2}, gamma={"low": -1, "high": 2}))
    assert {e["field"] for e in answer.json()["errors"]} == {"space.max_dept", "space.gamma"}


def test_a_number_may_be_a_choice_too(client: APIClient) -> None:
    wanted = {"max_depth": {"choices": [3, 6.0]}, "gamma": {"low": 0, "high": 2}}
    study = ask(client, **space(**wanted)).json()
    assert study["space"]["xgboost"] == {
        "max_depth": {"choices": [3, 6]},
        "gamma": {"low": 0.0, "high": 2.0},
    }


def test_what_is_fixed_is_not_varied_by_default(client: APIClient) -> None:
    study = ask(client, parameters={"max_depth": 4}).json()
    assert "max_depth" not in study["space"]["xgboost"]
    assert "learning_rate" in study["space"]["xgboost"]


def test_automl_takes_all_that_learn_from_labels_and_suit_a_file(client: APIClient) -> None:
    study = ask(client, automl=True).json()
    wanted = {"xgboost", "random_forest", "neural_network", "logistic_regression"}
    assert set(study["algorithms"]) == set(study["space"]) == wanted
    assert (study["trials_wanted"], study["time_budget_seconds"]) == (None, 900)


def test_a_retired_model_is_not_tuned(client: APIClient, model: Any) -> None:
    type(model).objects.update(retired_at="2026-01-01T00:00:00Z")
    assert ask(client).status_code == 409
