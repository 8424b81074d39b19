"""manage.py train and evaluate."""

import json
import threading
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from aegisml.base.auth import roles
from inference import services as serving
from models_app.models import ModelVersion, RegisteredModel
from tests.factories import make_job, make_model, make_user, trained_version, write_dataset
from tests.training import data
from tests.training.test_overriding import leaky
from training import jobs
from training.management.commands import train as command
from training.models import TrainingJob

transactional = pytest.mark.django_db(transaction=True)
Run = Callable[..., str]


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def refused(name: str, *arguments: str) -> tuple[int, str]:
    """The exit status and what is said."""
    with pytest.raises(CommandError) as caught:
        run(name, *arguments)
    return caught.value.returncode, str(caught.value)


# --- train ---


@transactional
def test_it_trains_here_and_shows_the_way_and_the_metrics() -> None:
    make_model("fraud")
    said = run("train", "fraud", "--dataset", write_dataset(), "--param", "seed=3")
    job = TrainingJob.objects.get()
    assert (job.status, job.parameters, job.attempts) == ("succeeded", {"seed": 3}, 1)
    assert f"Job {job.pk}: fraud on payments.csv" in said
    assert "Trained fraud v1 in" in said
    assert f"{job.metrics['test']['auroc']:.4f}" in said
    assert "100% done" in said


@transactional
def test_it_acts_in_somebody_s_name() -> None:
    make_model("fraud")
    make_user(roles.DATA_SCIENTIST, username="dora")
    run("train", "fraud", "--dataset", write_dataset(), "--user", "dora", "--priority", "high")
    job = TrainingJob.objects.get()
    assert (job.requested_by.username, job.get_priority_display()) == ("dora", "High")
    assert LogEntry.objects.filter(user__username="dora", object_id=str(job.pk)).exists()


@transactional
def test_data_that_can_not_be_trained_on_end_with_one() -> None:
    make_model("fraud")
    path = data.put("a.csv", "amount,is_fraud\n1,0\n")
    code, said = refused("train", "fraud", "--dataset", path)
    assert (code, "is_fraud" in said) == (1, True)


@transactional
def test_a_suspected_leak_ends_with_three_and_its_evidence() -> None:
    make_model("fraud")
    code, said = refused("train", "fraud", "--dataset", leaky())
    assert code == 3
    assert "leak verdict: verdict alone tells fraud from the rest" in said
    run("train", "fraud", "--dataset", leaky(), "--param", 'overrides={"leak": "a test"}')
    assert ModelVersion.objects.count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody", "--dataset", "payments.csv"), ("fraud",), ("fraud", "--dataset", "gone.csv"),
        ("fraud", "--dataset", "payments.csv", "--param", "max_depth=99"),
        ("fraud", "--dataset", "payments.csv", "--param", "odd=1"),
        ("fraud", "--dataset", "payments.csv", "--user", "nobody"),
        ("fraud", "--feature-set", "nobody@v1"),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_ends_with_two(
    model: RegisteredModel, arguments: tuple[str, ...]
) -> None:
    write_dataset()
    code, said = refused("train", *arguments)
    assert code == 2, said
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    "arguments", [("--param", "seed"), ("--param", "=1"), ("--from", "today"), ("--priority", "x")]
)
def test_an_argument_that_is_none_is_named(
    model: RegisteredModel, arguments: tuple[str, ...]
) -> None:
    _, said = refused("train", "fraud", *arguments)
    assert arguments[0] in said


def test_a_job_that_is_left_to_the_workers_is_not_waited_for(model: RegisteredModel) -> None:
    run("train", "fraud", "--dataset", write_dataset(), "--queue")
    assert TrainingJob.objects.get().status == "queued"


@transactional
def test_a_job_of_a_worker_is_followed_to_its_end() -> None:
    make_model("fraud")
    write_dataset()

    def work() -> None:
        try:
            deadline = time.monotonic() + 20
            while not jobs.work() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    said = run("train", "fraud", "--dataset", "payments.csv", "--queue", "--wait")
    worker.join()
    assert "Trained fraud v1" in said


@transactional
def test_ctrl_c_cancels_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    make_model("slow", parameters={"n_estimators": 5000, "max_depth": 3})
    sleep = time.sleep

    def press(seconds: float) -> None:
        sleep(seconds)
        if TrainingJob.objects.filter(step__startswith="fit: ").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", press)
    code, _ = refused("train", "slow", "--dataset", write_dataset())
    job = TrainingJob.objects.get()
    assert (code, job.status) == (130, "cancelled")
    assert not ModelVersion.objects.exists()


def test_the_same_training_that_is_open_is_refused(model: RegisteredModel) -> None:
    arguments = ("train", "fraud", "--dataset", write_dataset(), "--queue")
    run(*arguments)
    code, said = refused(*arguments)
    assert (code, "for the same training is queued" in said) == (2, True)
    run(*arguments, "--duplicate")
    assert TrainingJob.objects.count() == 2


# --- evaluate ---


@pytest.fixture
def version(model: RegisteredModel) -> ModelVersion:
    return trained_version(model)


def metrics_of(said: str) -> dict[str, Any]:
    return dict(json.loads(said)["metrics"])


def test_a_version_is_judged_on_another_file(version: ModelVersion) -> None:
    write_dataset("later.csv", seed=5)
    said = run("evaluate", "fraud@1", "--dataset", "later.csv")
    assert said.startswith("fraud v1 on later.csv:")
    found = metrics_of(run("evaluate", "fraud@1", "--dataset", "later.csv", "--json"))
    assert f"{found['average_precision']:.4f}" in said
    assert (found["rows"], 0.5 < found["auroc"] <= 1) == (600, True)
    low, high = found["intervals"]["auroc"]
    assert low <= found["auroc"] <= high
    assert found["recall_at_alerts_per_day"]["alerts_per_day"] == 100


def test_the_threshold_is_the_version_s_own(version: ModelVersion) -> None:
    found = metrics_of(run("evaluate", "fraud", "--dataset", "payments.csv", "--json"))
    assert found["threshold"] == version.metrics["test"]["threshold"]


def test_on_the_test_rows_it_says_what_the_training_said(version: ModelVersion) -> None:
    lines = data.path_of("payments.csv").read_text().splitlines()
    test = version.metrics["test"]
    data.put("test.csv", "\n".join([lines[0], *lines[-test["rows"] :]]) + "\n")
    found = metrics_of(run("evaluate", "fraud@1", "--dataset", "test.csv", "--json"))
    for name in ("auroc", "average_precision", "brier", "confusion_matrix"):
        assert found[name] == pytest.approx(test[name], abs=1e-6), name


@pytest.mark.parametrize("name", ["fraud@champion", "fraud", "fraud@1"])
def test_a_version_may_be_called_by_several_names(version: ModelVersion, name: str) -> None:
    serving.deploy(model=version.model, actor=version.created_by)
    assert run("evaluate", name, "--dataset", "payments.csv").startswith("fraud v1 on")


@pytest.mark.parametrize(
    ("name", "said"),
    [("nobody", "no model"), ("fraud@7", "no version 7"), ("fraud@odd", "neither a version"),
     ("fraud@champion", "has no champion"), ("fraud@", ""), ("@1", "form")],
)  # fmt: skip
def test_a_version_that_is_not_there_ends_with_two(
    model: RegisteredModel, name: str, said: str
) -> None:
    write_dataset()
    code, text = refused("evaluate", name, "--dataset", "payments.csv")
    assert (code, said in text) == (2, True), text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("timestamp,amount,is_fraud\n2026-01-01,1,0\n", "merchant_category, location"),
        ("amount,merchant_category,location\n1,fuel,domestic\n", "no label column"),
        ("amount,merchant_category,location,is_fraud\n1,fuel,domestic,0\n", "one class"),
    ],
)
def test_a_file_that_does_not_fit_the_version_ends_with_one(
    version: ModelVersion, lines: str, said: str
) -> None:
    code, text = refused("evaluate", "fraud@1", "--dataset", data.put("odd.csv", lines))
    assert (code, said in text) == (1, True), text


def test_categories_that_training_never_saw_and_columns_without_a_value_are_scored(
    version: ModelVersion,
) -> None:
    rows = [f"{10 * i},{'casino' if i % 2 else 'fuel'},,{i % 3 == 0:d}" for i in range(60)]
    text = "\n".join(["amount,merchant_category,location,is_fraud", *rows])
    found = metrics_of(run("evaluate", "fraud@1", "--dataset", data.put("odd.csv", text), "--json"))
    assert found["rows"] == 60


def test_a_job_of_another_process_is_left_to_it(model: RegisteredModel) -> None:
    job = make_job(model)
    assert job.claim(worker="another")
    assert not jobs.train(str(job.pk))
