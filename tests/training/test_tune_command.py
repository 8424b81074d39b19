"""manage.py tune: what it says and what it ends with."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from models_app.models import RegisteredModel
from tests.training import studying
from training import searches
from training.models import Study
from training.services import studies

pytestmark = pytest.mark.django_db(transaction=True)


def tune(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("tune", "fraud", *arguments, stdout=out, **options)
    return out.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        tune(*arguments)
    return refusal.value


def test_it_searches_here_and_ends_with_a_version(model: RegisteredModel, tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"max_depth": {"low": 1, "high": 4}}))
    said = tune(
        "--dataset", studying.dataset(), "--trials", "3", "--space", str(space),
        "--param", "n_estimators=6", "--sampler", "random",
    )  # fmt: skip
    study = Study.objects.get()
    assert study.status == "succeeded"
    assert (study.trials.count(), study.sampler) == (3, "random")
    assert study.requested_by.username == "system"
    for told in ("0 of 3 trials", "3 trials, 3 with a value", f"Trained {model} v1"):
        assert told in said
    best = study.best_trial
    assert best is not None
    assert f"trial {best.number:>4}  {best.value:.4f}" in said


def test_automl_trains_the_best_and_joins_them(model: RegisteredModel, tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"xgboost": {"n_estimators": {"low": 4, "high": 8}}}))
    said = tune(
        "--dataset", studying.dataset(), "--automl", "--trials", "2", "--space", str(space),
        "--algorithm", "xgboost", "--algorithm", "logistic_regression",
    )  # fmt: skip
    assert model.versions.count() == 3
    assert "The ensemble" in said


def test_a_wrong_request_ends_with_two(model: RegisteredModel, tmp_path: Path) -> None:
    error = refused("--dataset", studying.dataset(), "--trials", "0")
    assert (error.returncode, "trials: must be" in str(error)) == (2, True)
    broken = tmp_path / "broken.json"
    broken.write_text("[1]")
    assert "must be a JSON object" in str(refused("--dataset", "x.csv", "--space", str(broken)))
    assert refused("--dataset", "x.csv").returncode == 2
    with pytest.raises(CommandError) as refusal:
        call_command("tune", "nobody", "--dataset", studying.dataset())
    assert refusal.value.returncode == 2


def test_a_study_that_finds_nothing_ends_with_one(model: RegisteredModel) -> None:
    metric = "card_precision_at_100"
    error = refused("--dataset", studying.dataset(), "--trials", "2", "--metric", metric)
    assert error.returncode == 1
    assert "entity_column" in str(error)


def test_a_queued_study_is_left_to_the_workers(model: RegisteredModel) -> None:
    said = tune("--dataset", studying.dataset(), "--queue")
    study = Study.objects.get()
    assert str(study.pk) in said
    assert study.status == "queued"


def test_ctrl_c_cancels_the_study(model: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.management.commands.tune.Bar.show", interrupted)
    error = refused("--dataset", studying.dataset(), "--param", "n_estimators=5000")
    study = Study.objects.get()
    assert (error.returncode, study.status) == (130, "cancelled")


def test_a_study_that_somebody_cancels_ends_like_ctrl_c(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(trial_id: str) -> searches.Next:
        study = Study.objects.get()
        if not study.is_finished:
            studies.cancel(study=study, actor=study.requested_by)
        return searches.go_on(study)

    monkeypatch.setattr(searches, "work", cancelled)
    error = refused("--dataset", studying.dataset())
    assert (error.returncode, "cancelled" in str(error)) == (130, True)
