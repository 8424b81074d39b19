"""The pages of studies: asked for by a form, watched, stopped, and trained from."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests import factories
from tests.admin import pages
from tests.training import studying
from training.models import Study, TrainingJob

pytestmark = pytest.mark.django_db

CONFIRMED = {"reason": "enough", "_form_submitted": "on"}


def form(model: RegisteredModel, **changes: Any) -> dict[str, Any]:
    return {
        "model": model.pk, "dataset_path": studying.dataset(), "metric": "average_precision",
        "sampler": "tpe", "pruner": "median", "workers": 1, "reason": "requested",
        "space": "{}", "parameters": "{}", "trials_wanted": 3, **changes,
    }  # fmt: skip


def page(client: Client, study: Study, **query: str) -> str:
    answer = client.get(pages.change(study), query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def scientist(log_in: Any) -> Client:
    found: Client = log_in(roles.DATA_SCIENTIST)
    return found


@pytest.fixture
def searched() -> Study:
    """A study that found something and waits for its end."""
    model = factories.make_model("fraud")
    return studying.search(studying.ask(model, algorithms=("logistic_regression",), trials=4))


def test_a_form_queues_a_study_and_shows_it(scientist: Client) -> None:
    model = factories.make_model()
    space = '{"max_depth": {"low": 2, "high": 5}}'
    answer = scientist.post(pages.add("training_study"), form(model, space=space))
    study = Study.objects.get()
    assert answer.url == pages.change(study)
    assert study.space == {"xgboost": {"max_depth": {"low": 2, "high": 5}}}
    assert "waiting for a worker" in page(scientist, study)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"space": '{"max_dept": {"low": 2, "high": 5}}'}, "did you mean"),
        ({"trials_wanted": 0}, "must be 1 to 2,000"),
        ({"workers": 99}, "ml.training.max_workers"),
        ({"algorithms": "prophet"}, "not to be tuned"),
        ({"space": "[1]"}, "must be a JSON object"),
        ({"dataset_path": ""}, "name a file"),
        ({"parameters": '{"max_dept": 3}'}, "did you mean"),
    ],
)
def test_what_the_service_refuses_stands_beside_its_field(
    scientist: Client, changes: dict[str, Any], sentence: str
) -> None:
    model = factories.make_model()
    answer = scientist.post(pages.add("training_study"), form(model, **changes))
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Study.objects.exists()


def test_the_page_shows_history_parameters_importance_and_every_trial(
    scientist: Client, searched: Study
) -> None:
    text = page(scientist, searched)
    assert searched.best_trial is not None
    for told in ("Optimization history", "Parameters and values", "Importance", "4 of 4 trials"):
        assert told in text
    for trial in searched.trials.all():
        assert f'id="trial-{trial.number}"' in text
        assert text.count(f'href="#trial-{trial.number}"') >= 2  # in both pictures
        assert f"Trial {trial.number}: {trial.value:.4f}" in text


def test_the_trials_can_be_sorted(scientist: Client, searched: Study) -> None:
    by_value = [t.number for t in searched.trials.ranked()]
    orders = {"number": [0, 1, 2, 3], "value": by_value, "nonsense": by_value}
    for sort, wanted in orders.items():
        rows = page(scientist, searched, sort=sort).split('<tr id="trial-')[1:]
        assert [int(row.split('"')[0]) for row in rows] == wanted


def test_the_live_part_asks_for_itself_until_the_study_is_over(
    scientist: Client, searched: Study
) -> None:
    address = pages.action(searched, "live")
    answer = scientist.get(address)
    assert "hx-get" in answer.content.decode()
    assert "HX-Refresh" not in answer
    Study.objects.update(status="cancelled")
    answer = scientist.get(address)
    assert "hx-get" not in answer.content.decode()
    assert answer["HX-Refresh"] == "true"


def test_a_page_with_nothing_yet_says_so(scientist: Client) -> None:
    text = page(scientist, factories.make_study())
    assert "It appears when the first trial ends." in text
    assert "None yet." in text
    assert "Optimization history" not in text


def test_a_pruned_trial_is_shown_with_what_it_had_come_to(
    scientist: Client, searched: Study
) -> None:
    searched.trials.create(
        number=4, algorithm="logistic_regression", status="pruned", curve=[[2, 0.1234]]
    )
    text = page(scientist, searched)
    assert "Trial 4 (Pruned): 0.1234" in text


def test_a_study_is_cancelled_by_its_button(scientist: Client) -> None:
    study = factories.make_study()
    scientist.post(pages.action(study, "cancel"), CONFIRMED)
    study.refresh_from_db()
    assert study.status == "cancelled"


def test_the_best_of_a_cancelled_study_is_trained_by_its_button(
    scientist: Client, searched: Study
) -> None:
    Study.objects.update(status="cancelled", finished_at=timezone.now())
    assert "Train the best now" in page(scientist, searched)
    answer = scientist.post(pages.action(searched, "train_best"), CONFIRMED)
    job = TrainingJob.objects.get()
    assert answer.url == pages.change(job)
    assert f"best of study {searched.pk}" == job.reason


def test_a_study_that_ended_well_has_no_buttons(scientist: Client, searched: Study) -> None:
    studying.close(searched)
    assert searched.status == "succeeded"
    text = page(scientist, searched)
    assert "Train the best now" not in text
    assert "Cancel the study" not in text
    assert str(searched.version) in text


def test_a_viewer_sees_and_may_not_ask(log_in: Any, searched: Study) -> None:
    viewer = log_in(roles.VIEWER)
    assert "Optimization history" in page(viewer, searched)
    assert viewer.get(pages.add("training_study")).status_code == 403


def test_automl_s_page_tells_the_algorithms_apart(scientist: Client) -> None:
    study = studying.ask(
        factories.make_model(), is_automl=True, algorithms=("xgboost", "logistic_regression"),
        trials=4, space={"xgboost": {"n_estimators": {"low": 5, "high": 9}}},
    )  # fmt: skip
    studying.search(study)
    text = page(scientist, study)
    assert "Logistic regression" in text
    assert text.count("Parameters and values: ") >= 1
