"""The training form's further wishes, and what a job's page tells and lets people do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from aegisml.base.auth import roles
from tests import factories
from tests.admin import pages
from tests.admin.test_training import PAGE, errors_of, form, live, press
from training.choices import JobStatus, Priority
from training.models import TrainingJob

pytestmark = pytest.mark.django_db

LEAKS = [
    {"kind": "leak", "column": "verdict", "text": "verdict alone tells fraud.", "value": 0.999}
]


@pytest.fixture
def model():
    return factories.make_model("fraud")


@pytest.fixture
def scientist(log_in):
    return log_in(roles.DATA_SCIENTIST)


# --- the form ---


def test_the_form_s_options_become_the_request_s_parameters(scientist, model):
    wishes = {
        "priority": Priority.HIGH, "test_split": "", "test_from": "2026-03-01T00:00:00Z",
        "policy": "cost", "review_cost": "3.5", "alerts": "9", "calibration": "platt",
        "refit": "on", "amount_column": "amount", "segment_columns": "location, ",
        "overrides": "known_entities", "override_reason": "a study", "known_entities": "keep",
    }  # fmt: skip

    scientist.post(pages.add(PAGE), form(model, **wishes))

    job = TrainingJob.objects.get()
    assert job.priority == Priority.HIGH
    assert job.parameters == {
        "seed": 0, "validation_split": 0.2, "test_from": "2026-03-01T00:00:00Z", "refit": True,
        "calibration": "platt", "amount_column": "amount", "segment_columns": ["location"],
        "known_entities": "keep", "policy": {"rule": "cost", "review_cost": 3.5},
        "overrides": {"known_entities": "a study"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"test_from": "March", "test_split": ""}, "test_from", "must be a time in ISO 8601"),
        ({"policy": "cost", "review_cost": "-1"}, "policy", "review_cost: must be a number"),
        ({"policy": "precision_floor", "precision": "3"}, "policy", "precision: must be a number"),
        ({"overrides": "leak"}, "overrides", "leak: needs a reason"),
        ({"members": "a@1"}, "members", "is for ensembles"),
        ({"priority": "7"}, "priority", "Select a valid choice"),
        ({"calibration": "magic"}, "calibration", "Select a valid choice"),
    ],
)
def test_a_wrong_option_is_named_at_its_field(scientist, model, changes, field, said):
    answer = scientist.post(pages.add(PAGE), form(model, **changes))

    assert said in errors_of(answer)[field][0]
    assert not TrainingJob.objects.exists()


def test_the_same_training_twice_is_refused_with_the_open_one_s_name(scientist, model):
    scientist.post(pages.add(PAGE), form(model))
    job = TrainingJob.objects.get()

    answer = scientist.post(pages.add(PAGE), form(model))

    assert str(job.pk) in str(errors_of(answer)["__all__"])
    scientist.post(pages.add(PAGE), form(model, allow_duplicate="on"))
    assert TrainingJob.objects.count() == 2


# --- the page ---


def test_a_waiting_job_says_why(scientist, model):
    html = live(scientist, factories.make_job(model)).content.decode()

    assert "It is next. No worker takes trainings" in html


def test_the_steps_tell_what_is_done_and_what_goes_on(scientist, model):
    job = factories.make_job(
        model, status=JobStatus.RUNNING, step="fit: 5 of 9", progress=40,
        expected_end=timezone.now() + timedelta(minutes=2),
    )  # fmt: skip

    html = live(scientist, job).content.decode()

    assert '<li class="ag-step-done"><span>preprocess</span>' in html
    assert '<li class="ag-step-now" aria-current="step"><span>fit</span>' in html
    assert '<li class="ag-step-open"><span>calibrate</span>' in html
    assert "fit again" not in html
    assert "about 2 min 0 s left" in html or "about 1 min" in html


def test_the_step_where_a_job_stopped_is_marked(scientist, model):
    job = factories.make_job(model, status=JobStatus.FAILED, step="validate", error="bad")

    assert (
        '<li class="ag-step-stopped"><span>validate</span>' in live(scientist, job).content.decode()
    )


def test_each_metric_of_the_fit_has_its_curve(scientist, model):
    curve = [{"round": n, "validation_ap": n / 10, "train_loss": 1 / n} for n in (1, 2, 3)]
    job = factories.make_job(model, status=JobStatus.RUNNING, curve=curve)

    html = live(scientist, job).content.decode()

    assert html.count("<polyline") == 2
    assert html.index("validation average precision") < html.index("train loss")


def test_the_evidence_of_a_leak_is_shown_with_the_button_that_overrides(scientist, model):
    job = factories.make_job(model, status=JobStatus.LEAK_SUSPECTED, metrics={"leaks": LEAKS})

    html = scientist.get(pages.change(job)).content.decode()

    assert "verdict alone tells fraud." in html
    assert "0.9990" in html
    assert pages.action(job, "override") in html
    assert pages.action(job, "retry") in html


def test_a_job_in_quarantine_says_so_on_its_page(scientist, model):
    job = factories.make_job(
        model, status=JobStatus.ERRORED, is_quarantined=True, deaths=3, error="It died."
    )

    html = scientist.get(pages.change(job)).content.decode()

    assert "Quarantined" in html
    assert "3 workers died with it" in html


# --- the button ---


def test_an_override_makes_a_new_job_with_the_reason(scientist, model):
    job = factories.make_job(model, status=JobStatus.LEAK_SUSPECTED, metrics={"leaks": LEAKS})

    answer = press(scientist, job, "override", reason="a rule of the bank")

    again = TrainingJob.objects.exclude(pk=job.pk).get()
    assert again.parameters == {"overrides": {"leak": "a rule of the bank"}}
    assert answer.redirect_chain[-1][0] == pages.change(again)


def test_an_override_without_a_reason_is_asked_for_one(scientist, model):
    job = factories.make_job(model, status=JobStatus.LEAK_SUSPECTED, metrics={"leaks": LEAKS})

    answer = press(scientist, job, "override", reason="")

    assert "This field is required" in answer.content.decode()
    assert TrainingJob.objects.count() == 1


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.RUNNING, JobStatus.SUCCEEDED])
def test_other_jobs_have_nothing_to_override(scientist, model, status):
    job = factories.make_job(model, status=status)

    assert pages.action(job, "override") not in scientist.get(pages.change(job)).content.decode()
    press(scientist, job, "override", reason="why not")
    assert TrainingJob.objects.count() == 1
