"""A job's life as server-sent events: what is new since the last one, and then the end."""

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests.factories import api_client, make_job, write_dataset
from training import jobs
from training.api import events as streams
from training.api import pacing
from training.api.pacing import Pace
from training.choices import JobStatus
from training.models import TrainingJob

Train = Callable[..., TrainingJob]


@dataclass(frozen=True)
class Event:
    """One event as a browser understands it."""

    id: str
    kind: str
    data: dict[str, Any]


@pytest.fixture(autouse=True)
def _nobody_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "pace", Pace())


def ask(client: APIClient, job: TrainingJob, last: str = "") -> Any:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    return client.get(
        f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}/events", headers=headers
    )


def events(client: APIClient, job: TrainingJob, last: str = "") -> list[Event]:
    answer = ask(client, job, last)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    found = []
    for block in answer.content.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            found.append(Event(fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def kinds(found: list[Event]) -> list[str]:
    return list(dict.fromkeys(event.kind for event in found))


def test_a_finished_job_is_told_from_its_beginning_to_its_end(
    client: APIClient, train: Train
) -> None:
    job = train(write_dataset())
    found = events(client, job)
    assert kinds(found) == ["status", "log", "metrics", "progress", "end"]
    assert [e.data["round"] for e in found if e.kind == "metrics"] == [1, 2, 3, 4, 5]
    lines = [e.data["line"] for e in found if e.kind == "log"]
    assert lines == job.log.splitlines()
    end = found[-1].data
    assert (end["status"], end["version"], end["error"]) == ("succeeded", 1, "")
    assert end["metrics"]["auroc"] == job.metrics["test"]["auroc"]


def test_after_the_end_a_client_is_told_to_stay_away(client: APIClient, train: Train) -> None:
    job = train(write_dataset())
    last = events(client, job)[-1].id
    answer = ask(client, job, last)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_client_that_comes_back_gets_what_is_new(
    client: APIClient, model: RegisteredModel
) -> None:
    job = make_job(
        model, status=JobStatus.RUNNING, progress=30, step="fit: 1 of 9", log="a\nb\n",
        log_lines=2, curve=[{"round": 1, "validation_ap": 0.2}], attempts=1,
    )  # fmt: skip
    first = events(client, job)
    assert kinds(first) == ["status", "log", "metrics", "progress"]
    assert events(client, job, first[-1].id) == []
    TrainingJob.objects.filter(pk=job.pk).update(
        progress=40, log="a\nb\nc\n", log_lines=3,
        curve=[{"round": 1, "validation_ap": 0.2}, {"round": 2, "validation_ap": 0.3}],
    )  # fmt: skip
    found = [(event.kind, event.data) for event in events(client, job, first[-1].id)]
    assert found == [
        ("log", {"line": "c"}),
        ("metrics", {"round": 2, "validation_ap": 0.3}),
        ("progress", {"progress": 40, "step": "fit: 1 of 9", "eta_seconds": None}),
    ]


def test_each_event_is_a_place_to_go_on_from(client: APIClient, train: Train) -> None:
    job = train(write_dataset())
    found = events(client, job)
    for place, event in enumerate(found[:-1]):
        assert events(client, job, event.id) == found[place + 1 :]


def test_a_silent_job_s_answer_says_when_to_come_back_and_that_the_server_lives(
    client: APIClient, model: RegisteredModel
) -> None:
    job = make_job(model)
    last = events(client, job)[-1].id
    assert ask(client, job, last).content == b"retry: 1000\n\n: queued\n\n"


def test_lines_that_the_log_no_longer_keeps_are_not_told(
    client: APIClient, model: RegisteredModel
) -> None:
    job = make_job(model, log="y\nz\n", log_lines=900)
    last = f"queued.0.{898}.0.0.0"
    assert [e.data["line"] for e in events(client, job, last) if e.kind == "log"] == ["y", "z"]


def test_a_curve_that_begins_anew_is_told_anew(client: APIClient, model: RegisteredModel) -> None:
    curve = [{"round": number, "validation_ap": 0.1} for number in (1, 2, 3)]
    job = make_job(model, status=JobStatus.RUNNING, attempts=1, curve=curve)
    last = events(client, job)[-1].id
    TrainingJob.objects.filter(pk=job.pk).update(attempts=2, curve=curve[:1])
    found = [e.data["round"] for e in events(client, job, last) if e.kind == "metrics"]
    assert found == [1]


@pytest.mark.parametrize(
    "last", ["nonsense", "1.2.3", "a.b.c.d.e.f", "x" * 5000, "running.-1.0.0.0.0"]
)
def test_an_id_that_is_none_means_from_the_beginning(
    client: APIClient, model: RegisteredModel, last: str
) -> None:
    job = make_job(model, log="a\n", log_lines=1)
    assert events(client, job, last) == events(client, job)


def test_a_suspected_leak_ends_the_stream_with_its_evidence(
    client: APIClient, model: RegisteredModel
) -> None:
    leaks = [{"kind": "leak", "column": "amount", "text": "It is the label.", "value": 1.0}]
    job = make_job(model, status=JobStatus.LEAK_SUSPECTED, metrics={"leaks": leaks})
    assert events(client, job)[-1].data["leaks"] == leaks


def test_a_refusal_is_a_problem_not_a_stream(client: APIClient, model: RegisteredModel) -> None:
    job = make_job(model)
    answer = ask(api_client(roles.SERVICE), job)
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert answer.json()["status"] == 403
    assert ask(client, TrainingJob(pk=model.pk, model=model)).status_code == 404


def test_a_job_that_somebody_works_on_is_told_bit_by_bit(
    client: APIClient, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at with each write of the worker, nothing comes twice and nothing is lost."""
    job = make_job(model)
    told: list[Event] = []
    write = TrainingJob.write

    def and_look(row: TrainingJob, **values: Any) -> bool:
        done = write(row, **values)
        told.extend(events(client, job, told[-1].id if told else ""))
        return done

    monkeypatch.setattr(TrainingJob, "write", and_look)
    jobs.train(str(job.pk))
    told.extend(events(client, job, told[-1].id)) if told[-1].kind != "end" else None
    job.refresh_from_db()
    assert [e.data["line"] for e in told if e.kind == "log"] == job.log.splitlines()
    assert [e.data["round"] for e in told if e.kind == "metrics"] == [1, 2, 3, 4, 5]
    assert [e.data["status"] for e in told if e.kind == "status"] == ["running", "succeeded"]
    assert told[-1].kind == "end"


# --- many readers ---


class Day:
    """Readers that come as often as `retry` tells them, each costing `cost` seconds, for a while
    on a clock of their own; gives how busy they kept the process at the end."""

    def __init__(self, readers: int, cost: float, *, obey: bool = True) -> None:
        self.now = 0.0
        self.pace = Pace(lambda: self.now)
        self.refused = 0
        due = [(i / readers, i) for i in range(readers)]
        heapq.heapify(due)
        while due[0][0] < 60:  # noqa: PLR2004
            at, reader = heapq.heappop(due)
            self.now = max(self.now, at)
            told = self.pace.interval()
            if self.pace.flooded() is not None:
                self.refused += 1
            else:
                self.now += cost
                self.pace.spent(cost, told=told)
            heapq.heappush(due, (self.now + (told if obey else 0.05), reader))


@pytest.mark.parametrize("readers", [1, 5, 20, 100])
def test_readers_are_told_to_come_as_seldom_as_predictions_need(readers: int) -> None:
    day = Day(readers, cost=0.01)
    assert day.pace.share() < pacing.SHARE * 1.35
    assert day.refused == 0


def test_a_few_readers_come_each_second() -> None:
    assert Day(5, cost=0.005).pace.interval() == 1


def test_readers_who_do_not_do_as_they_are_told_are_turned_away() -> None:
    day = Day(50, cost=0.01, obey=False)
    assert day.refused > 0
    assert day.pace.share() <= pacing.FLOOD * 1.1


def test_who_is_turned_away_is_told_for_how_long(
    client: APIClient, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "FLOOD", -1)
    answer = ask(client, make_job(model))
    assert (answer.status_code, answer["Retry-After"]) == (429, "5")
    assert answer["Content-Type"] == "application/problem+json"
