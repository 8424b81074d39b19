"""Asking for a training, watching it, stopping it, running it again."""

import pytest

from aegisml.base.auth import roles
from models_app.services import registry
from tests import factories
from tests.admin import pages
from training import jobs
from training.choices import JobStatus
from training.models import TrainingJob

pytestmark = pytest.mark.django_db

PAGE = "training_trainingjob"


def form(model, **changes):
    return {
        "model": model.pk, "dataset_path": factories.write_dataset(), "label_column": "",
        "time_column": "", "label_delay_days": "", "exclude_columns": "", "seed": "0",
        "validation_split": "0.2", "test_split": "0.1", "parameters": "{}", "reason": "new data",
        **changes,
    }  # fmt: skip


def errors_of(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def model():
    return factories.make_model()


@pytest.fixture
def scientist(log_in):
    return log_in(roles.DATA_SCIENTIST)


def test_the_form_queues_a_job_and_shows_it(scientist, model, django_capture_on_commit_callbacks):
    answer = scientist.post(pages.add(PAGE), form(model, label_delay_days="2"))

    job = TrainingJob.objects.get()
    assert answer["Location"] == pages.change(job)
    assert (job.status, job.reason) == (JobStatus.QUEUED, "new data")
    assert job.parameters == {
        "seed": 0, "test_split": 0.1, "validation_split": 0.2, "label_delay_days": 2.0
    }  # fmt: skip


def test_the_job_of_the_form_trains(scientist, model):
    columns = {"label_column": "is_fraud", "time_column": "timestamp"}
    scientist.post(pages.add(PAGE), form(model, exclude_columns="location, ", **columns))

    jobs.train(str(TrainingJob.objects.get().pk))

    version = TrainingJob.objects.get().version
    names = [feature["name"] for feature in version.signature["features"]]
    assert names == ["amount", "merchant_category"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("validation_split", "0.9", "must be a number between 0.01 and 0.5"),
        ("label_delay_days", "-1", "must be a number between 0 and 365"),
        ("parameters", '{"max_depth": 99}', "max_depth: must be between 1 and 16"),
        ("parameters", "[]", "This must be a JSON object"),
        ("dataset_path", "../../etc/passwd", "Select a valid choice"),
        ("dataset_path", "", "name a file, or give a feature_set with from and to"),
    ],
)
def test_wrong_input_is_named_at_its_field(scientist, model, field, value, said):
    answer = scientist.post(pages.add(PAGE), form(model, **{field: value}))

    assert said in errors_of(answer)[field][0]
    assert not TrainingJob.objects.exists()


def on_stream(model, **changes):
    given = {
        "dataset_path": "", "feature_set": "", "since_0": "2026-01-01", "since_1": "00:00",
        "until_0": "2026-03-01", "until_1": "06:30", **changes,
    }  # fmt: skip
    return form(model, **given)


def test_the_form_takes_a_feature_set_instead_of_a_file(scientist, model):
    pinned = factories.make_set()

    scientist.post(pages.add(PAGE), on_stream(model, feature_set=pinned.pk))

    job = TrainingJob.objects.get()
    assert (job.feature_set, job.dataset_path) == (pinned, "")
    assert job.source == f"{pinned} from 2026-01-01 00:00 to 2026-03-01 06:30"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"feature_set": ""}, "feature_set", "is required to train on a stream"),
        ({"until_0": "", "until_1": ""}, "until", "is required to train on a stream"),
        ({"until_0": "2025-01-01"}, "until", "must be later than from"),
        ({"since_0": "0001-01-01"}, "since", "is not within the years 1900 to 2999"),
        ({"since_1": ""}, "since", "Enter a valid time"),
        ({"label_column": "is_fraud"}, "label_column", "is for files"),
        ({"exclude_columns": "odd"}, "exclude_columns", "has no feature 'odd'"),
    ],
)
def test_a_wrong_part_of_the_stream_is_named_at_its_field(scientist, model, changes, field, said):
    given = {"feature_set": factories.make_set().pk, **changes}

    answer = scientist.post(pages.add(PAGE), on_stream(model, **given))

    assert said in errors_of(answer)[field][0]
    assert not TrainingJob.objects.exists()


def test_a_file_and_a_feature_set_together_are_refused_in_the_form(scientist, model):
    both = {"feature_set": factories.make_set().pk, "dataset_path": factories.write_dataset()}

    answer = scientist.post(pages.add(PAGE), on_stream(model, **both))

    assert {"feature_set", "since", "until"} <= errors_of(answer).keys()


def test_list_and_page_lead_to_the_feature_set(scientist, model):
    pinned = factories.make_set()
    scientist.post(pages.add(PAGE), on_stream(model, feature_set=pinned.pk))
    job = TrainingJob.objects.get()

    for page in (pages.changelist(PAGE), pages.change(job)):
        assert pages.change(pinned) in scientist.get(page).content.decode()

    assert job.source in scientist.get(f"{pages.changelist(PAGE)}?q=set_").content.decode()


def test_the_model_of_the_link_is_chosen(scientist, model):
    answer = scientist.get(f"{pages.add(PAGE)}?model={model.pk}")

    assert str(answer.context["adminform"].form["model"].value()) == str(model.pk)


def test_only_files_that_training_reads_are_offered(scientist, own_folders):
    factories.write_dataset("deep/er/payments.csv")
    (own_folders / "datasets" / "notes.txt").write_text("no")
    (own_folders / "datasets" / ".hidden.csv").write_text("no")
    (own_folders / "datasets" / "link.csv").symlink_to("/etc/passwd")

    html = scientist.get(pages.add(PAGE)).content.decode()

    assert 'value="deep/er/payments.csv"' in html
    assert "notes.txt" not in html
    assert "hidden.csv" not in html
    assert "link.csv" not in html


def test_a_retired_model_is_not_offered(scientist, model):
    registry.retire_model(model=model, actor=model.owner)

    answer = scientist.post(pages.add(PAGE), form(model))

    assert "Select a valid choice" in errors_of(answer)["model"][0]


def test_a_viewer_cannot_train(log_in, model):
    client = log_in(roles.VIEWER)

    assert client.get(pages.add(PAGE)).status_code == 403
    assert client.post(pages.add(PAGE), form(model)).status_code == 403


def live(client, job):
    return client.get(f"/admin/training/trainingjob/{job.pk}/live/")


def test_the_live_part_tells_the_progress_and_asks_again(log_in, model):
    job = factories.make_job(
        model, status=JobStatus.RUNNING, progress=42, step="fit: tree 5 of 9",
        log="12:00:00 Read 600 rows.\n", curve=[[1, 0.2], [5, 0.4]],
    )  # fmt: skip

    answer = live(log_in(roles.VIEWER), job)

    html = answer.content.decode()
    assert 'aria-valuenow="42"' in html
    assert "fit: tree 5 of 9" in html
    assert "Read 600 rows." in html
    assert 'points="0.0,160.0 600.0,0.0"' in html
    assert 'hx-trigger="every 1s' in html
    assert "HX-Refresh" not in answer


def test_the_live_part_of_a_finished_job_stops_asking(log_in, model):
    job = factories.make_job(model, status=JobStatus.FAILED, error="bad", error_field="amount")

    answer = live(log_in(roles.VIEWER), job)

    html = answer.content.decode()
    assert "hx-trigger" not in html
    assert "<code>amount</code>: bad" in html
    assert answer["HX-Refresh"] == "true"


def test_the_live_part_of_no_job_is_not_found(log_in, model):
    assert live(log_in(roles.VIEWER), model).status_code == 404


def test_the_live_part_needs_the_right_to_see_jobs(log_in, model):
    assert live(log_in(roles.SERVICE), factories.make_job(model)).status_code == 403


def press(client, job, name, **fields):
    return client.post(pages.action(job, name), {"_form_submitted": "on", **fields}, follow=True)


def test_cancelling_a_queued_job_ends_it(scientist, model):
    job = factories.make_job(model)

    press(scientist, job, "cancel", reason="wrong file")

    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED


def test_cancelling_a_finished_job_says_that_it_is_over(scientist, model):
    job = factories.make_job(model, status=JobStatus.SUCCEEDED)

    answer = press(scientist, job, "cancel", reason="late")

    assert "The job is over: succeeded." in answer.content.decode()


def test_running_again_queues_a_job_with_the_same_input(scientist, model):
    job = factories.make_job(model, status=JobStatus.FAILED, parameters={"seed": 3})

    answer = press(scientist, job, "retry")

    again = TrainingJob.objects.exclude(pk=job.pk).get()
    assert (again.dataset_path, again.parameters) == (job.dataset_path, {"seed": 3})
    assert answer.redirect_chain[-1][0] == pages.change(again)


@pytest.mark.parametrize(
    ("status", "offered", "withheld"),
    [(JobStatus.RUNNING, "cancel", "retry"), (JobStatus.FAILED, "retry", "cancel")],
)
def test_only_the_button_that_makes_sense_is_there(scientist, model, status, offered, withheld):
    job = factories.make_job(model, status=status)

    html = scientist.get(pages.change(job)).content.decode()

    assert pages.action(job, offered) in html
    assert pages.action(job, withheld) not in html
