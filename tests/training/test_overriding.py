"""A training that stopped because a leak is suspected, and what a reason does to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.contrib.admin.models import LogEntry
from rest_framework.test import APIClient

from models_app.models import RegisteredModel
from tests.factories import make_job
from tests.training import data
from training import jobs
from training.choices import JobStatus
from training.models import TrainingJob

Train = Callable[..., TrainingJob]
Nothing = Callable[[], bool]


def leaky() -> str:
    """A file in which one column is the label in other words."""
    rows = 600
    table = data.table(rows)
    verdict = np.where(table["is_fraud"].to_numpy() == 1, 7.0, 1.0)
    return data.put("leaky.csv", data.table(rows, verdict=verdict))


def override(client: APIClient, job: TrainingJob, **body: Any) -> Any:
    return client.post(f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}/override", body)


def test_a_suspected_leak_ends_the_job_with_its_evidence(
    client: APIClient, train: Train, nothing_left: Nothing
) -> None:
    job = train(leaky())
    assert job.status == "leak_suspected"
    assert job.error.startswith("verdict alone tells fraud from the rest")
    (leak,) = client.get(f"/api/v1/models/fraud/training-jobs/{job.pk}").json()["leaks"]
    assert (leak["kind"], leak["column"], leak["value"]) == ("leak", "verdict", 1.0)
    assert nothing_left()


def test_a_reason_lets_a_new_job_pass_and_is_kept(client: APIClient, train: Train) -> None:
    job = train(leaky(), seed=3)
    answer = override(client, job, reason="it is a rule of the bank")
    assert answer.status_code == 202
    again = TrainingJob.objects.get(pk=answer.json()["id"])
    assert answer["Location"].endswith(str(again.pk))
    reasons = {"leak": "it is a rule of the bank"}
    assert again.parameters == {"seed": 3, "overrides": reasons}
    jobs.train(str(again.pk))
    again.refresh_from_db()
    assert again.status == "succeeded", again.error
    assert again.version is not None
    assert again.version.lineage["split"]["overrides"] == reasons
    history = LogEntry.objects.filter(object_id=str(again.pk))
    assert any("it is a rule of the bank" in entry.change_message for entry in history)


def test_a_random_split_of_rows_with_times_is_refused_until_there_is_a_reason(
    client: APIClient, train: Train
) -> None:
    job = train(data.put("a.csv", data.table()), split="random")
    assert (job.status, [leak["kind"] for leak in job.leaks]) == (
        "leak_suspected",
        ["random_split"],
    )
    again = override(client, job, reason="a study of the split itself").json()
    jobs.train(again["id"])
    assert TrainingJob.objects.get(pk=again["id"]).status == "succeeded"


def test_earlier_reasons_stay(client: APIClient, train: Train) -> None:
    job = train(leaky(), split="random", overrides={"random_split": "first"})
    assert [leak["kind"] for leak in job.leaks] == ["leak"]
    again = override(client, job, reason="second").json()
    assert again["parameters"]["overrides"] == {"random_split": "first", "leak": "second"}


@pytest.mark.parametrize("status", ["queued", "running", "succeeded", "failed", "cancelled"])
def test_there_is_nothing_to_override_about_other_jobs(
    client: APIClient, model: RegisteredModel, status: str
) -> None:
    answer = override(client, make_job(model, status=status), reason="why not")
    assert answer.status_code == 409
    assert TrainingJob.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 401}, {"why": "y"}])
def test_an_override_needs_a_reason(
    client: APIClient, model: RegisteredModel, body: dict[str, Any]
) -> None:
    job = make_job(model, status=JobStatus.LEAK_SUSPECTED)
    answer = override(client, job, **body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in ("reason", "why")
