"""Features as of past moments: asked for over HTTP, computed by a worker, trained on."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features import offline, tasks
from features.jobs import historical
from features.models import FeatureSet, HistoricalJob, Stream
from tests.factories import (
    PAYMENTS,
    api_client,
    make_model,
    make_set,
    make_stream,
    make_view,
    raw_event,
)
from tests.features import history
from training import jobs as training
from training.models import TrainingJob

URL = "/api/v1/features/historical"
QUEUE = "celery:training"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def stream() -> Stream:
    return make_stream("payments")


@pytest.fixture
def pinned(stream: Stream) -> FeatureSet:
    return make_set(make_view("spent", stream=stream, features=history.FEATURES), name="demo")


def at(days: float, **values: Any) -> dict[str, Any]:
    return {"at": history.iso(days), "customer": "c1", **values}


def some_events(stream: Stream) -> None:
    """c1 pays 10 on day 0, 20 on day 1, 40 on day 9; c2 pays 5 on day 1."""
    paid = [("c1", 0, 10), ("c1", 1, 20), ("c2", 1, 5), ("c1", 9, 40)]
    history.load(
        stream,
        [
            raw_event(timestamp=history.iso(day), customer_id=who, amount=amount)
            for who, day, amount in paid
        ],
    )


def done(client: APIClient, body: dict[str, Any]) -> dict[str, Any]:
    """Ask, let a worker do it, and give the job."""
    answer = client.post(URL, body)
    assert answer.status_code == 202, answer.text
    historical.run(answer.json()["id"])
    job: dict[str, Any] = client.get(answer["Location"]).json()
    return job


def rows_of(client: APIClient, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{URL}/{job['id']}/rows", query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def test_moments_get_the_features_as_they_were(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    some_events(stream)
    asked = [at(0.5), at(2), at(9.5), at(2, customer="c2"), at(2, customer="nobody")]
    job = done(client, {"feature_set": "demo@v1", "rows": asked})
    assert (job["status"], job["progress"], job["rows"], job["moments"]) == ("succeeded", 100, 5, 5)
    rows = rows_of(client, job)
    assert [row["spent_7d"] for row in rows] == [10, 30, 40, 5, 0]
    assert [row["payments_7d"] for row in rows] == [1, 2, 1, 1, 0]
    assert [row["customer"] for row in rows] == ["c1", "c1", "c1", "c2", "nobody"]


def test_what_was_not_known_yet_is_not_seen_unless_asked_for(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    paid = raw_event(timestamp=history.iso(0), amount=10)
    history.load(stream, [paid], history=False)  # known only now
    body = {"feature_set": "demo@v1", "rows": [at(1)]}
    assert rows_of(client, done(client, body))[0]["spent_7d"] == 0
    late = done(client, {**body, "as_known": False})
    assert late["as_known"] is False
    assert rows_of(client, late)[0]["spent_7d"] == 10


def test_fields_of_the_event_reach_the_transforms(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    some_events(stream)
    asked = [
        at(2, amount=1, merchant_category="fuel"),
        at(2),
        {"at": history.iso(2), "customer_id": "c2"},
    ]
    rows = rows_of(client, done(client, {"feature_set": "demo@v1", "rows": asked}))
    assert [(row["shop"], row["size"]) for row in rows] == [("fuel", 0), (None, None), (None, None)]
    assert [row["spent_7d"] for row in rows] == [30, 30, 5]  # the key's field names the key too
    assert rows[0]["amount"] == 1


def test_an_entity_may_be_called_like_its_field(client: APIClient) -> None:
    fields = [*PAYMENTS["fields"], {"name": "card", "type": "integer", "required": True}]
    cards = make_stream("cards", fields=fields, entities={"card": "card"})
    history.load(cards, [raw_event(timestamp=history.iso(0), card=77, amount=10)])
    same = [*history.FEATURES, {"name": "half", "expression": "card / 2"}]
    make_set(make_view("by_card", stream=cards, entity="card", features=same), name="cards")
    rows = [{"at": history.iso(1), "card": card} for card in (77, "077", 78)]
    job = done(client, {"feature_set": "cards@v1", "rows": rows})
    assert job["status"] == "succeeded", job["error"]
    found = rows_of(client, job)
    assert [row["spent_7d"] for row in found] == [10, 10, 0]
    assert [row["half"] for row in found] == [38.5, 38.5, 39]


def test_a_stretch_gives_a_row_per_event_and_can_be_trained_on(
    client: APIClient, stream: Stream, pinned: FeatureSet, settings: Any
) -> None:
    history.load(stream, history.payments())
    body = {"feature_set": "demo@v1", "from": history.iso(0), "to": history.iso(75)}
    job = done(client, body)
    assert (job["status"], job["rows"], job["moments"]) == ("succeeded", 600, None)
    assert (job["from"], job["to"]) == (body["from"], body["to"])
    assert pq.read_metadata(Path(settings.DATA_ROOT) / job["output_path"]).num_rows == 600

    make_model("fraud")
    asked = {"dataset_path": job["output_path"]}
    queued = client.post("/api/v1/models/fraud/train", asked).json()
    training.train(queued["id"])
    trained = TrainingJob.objects.get(pk=queued["id"])
    assert trained.status == "succeeded", trained.error


def test_only_the_first_rows_are_shown(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    history.load(stream, history.payments(150))
    body = {"feature_set": "demo@v1", "from": history.iso(0), "to": history.iso(30)}
    job = done(client, body)
    assert len(rows_of(client, job)) == 100
    (first,) = rows_of(client, job, limit=1)
    assert (first["event_id"], first["event_time"]) == ("p0", "2026-01-01T00:00:00Z")
    for wrong in ("0", "1001", "-1", "many", "9" * 99):
        answer = client.get(f"{URL}/{job['id']}/rows", {"limit": wrong})
        assert answer.json()["errors"][0]["field"] == "limit"


def test_rows_of_an_unfinished_job_are_a_conflict_and_of_a_lost_file_not_found(
    client: APIClient, stream: Stream, pinned: FeatureSet, settings: Any
) -> None:
    body = {"feature_set": "demo@v1", "rows": [at(0)]}
    queued = client.post(URL, body).json()
    assert client.get(f"{URL}/{queued['id']}/rows").status_code == 409
    job = done(client, body)
    (Path(settings.DATA_ROOT) / job["output_path"]).unlink()
    assert client.get(f"{URL}/{job['id']}/rows").status_code == 404


def test_an_empty_stretch_gives_an_empty_file(client: APIClient, pinned: FeatureSet) -> None:
    body = {"feature_set": "demo@v1", "from": history.iso(0), "to": history.iso(1)}
    job = done(client, body)
    assert (job["status"], job["rows"]) == ("succeeded", 0)
    answer = client.get(f"{URL}/{job['id']}/rows").json()
    assert answer["rows"] == []
    assert answer["columns"][0] == "event_id"


@pytest.mark.parametrize("name", ["nonsense", "0" * 36, "3fa85f64-5717-4562-b3fc-2c963f66afa6"])
def test_an_unknown_job_is_not_found(client: APIClient, name: str) -> None:
    assert client.get(f"{URL}/{name}").status_code == 404
    assert client.get(f"{URL}/{name}/rows").status_code == 404


def test_jobs_are_listed_newest_first_and_by_status(client: APIClient, pinned: FeatureSet) -> None:
    old = done(client, {"feature_set": "demo@v1", "rows": [at(0)]})["id"]
    new = client.post(URL, {"feature_set": "demo", "rows": [at(0)]}).json()["id"]

    def listed(query: str = "") -> list[str]:
        return [job["id"] for job in client.get(f"{URL}?{query}").json()["results"]]

    assert listed() == [new, old]
    assert listed("status=succeeded") == [old]


# --- what can't be asked ---

LONG = [at(0)] * 10_001


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["rows"]),
        ({"rows": []}, ["rows"]),
        ({"rows": LONG}, ["rows"]),
        ({"rows": "x"}, ["rows"]),
        ({"rows": [at(0)], "from": history.iso(0)}, ["from"]),
        ({"from": history.iso(0)}, ["to"]),
        ({"to": history.iso(0)}, ["from"]),
        ({"from": history.iso(1), "to": history.iso(1)}, ["to"]),
        ({"from": "2026-01-01T00:00:00", "to": history.iso(1)}, ["from"]),
        ({"rows": [at(0)], "feature_set": "nobody@v1"}, ["feature_set"]),
        ({"rows": [at(0)], "feature_set": "no set"}, ["feature_set"]),
        ({"rows": [at(0)], "as_known": "perhaps"}, ["as_known"]),
        ({"rows": [at(0)], "odd": 1}, ["odd"]),
        ({"rows": [at(0), {"customer": "c1"}]}, ["rows.1.at"]),
        ({"rows": [at(0, at="2026-01-01 12:00")]}, ["rows.0.at"]),
        ({"rows": [at(0, at=5)]}, ["rows.0.at"]),
        ({"rows": [at(0, at="0001-01-01T00:00:00Z")]}, ["rows.0.at"]),
        ({"rows": [{"at": history.iso(0)}]}, ["rows.0"]),
        ({"rows": [{"at": history.iso(0), "terminal": "t1"}]}, ["rows.0"]),
        ({"rows": [at(0, customer="")]}, ["rows.0.customer"]),
        ({"rows": [at(0, customer=["c1"])]}, ["rows.0.customer"]),
        ({"rows": [at(0, customer_id="c2")]}, ["rows.0.customer_id"]),
        ({"rows": [at(0, amount="much")]}, ["rows.0.amount"]),
        ({"rows": [at(0, colour="red")]}, ["rows.0.colour"]),
        ({"rows": [at(0, spent_7d=4)]}, ["rows.0.spent_7d"]),
        ({"rows": [at(0, amount="much", odd=1), at(1, at="x")]},
         ["rows.0.amount", "rows.0.odd", "rows.1.at"]),
    ],
)  # fmt: skip
def test_a_wrong_part_of_the_request_is_named(
    client: APIClient, pinned: FeatureSet, body: dict[str, Any], fields: list[str]
) -> None:
    answer = client.post(URL, {"feature_set": "demo@v1", **body})
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert not HistoricalJob.objects.exists()


def test_what_has_the_name_of_a_feature_can_not_be_given_too(
    client: APIClient, stream: Stream
) -> None:
    named = [{"name": "amount", "expression": "amount * 2"}]
    make_set(make_view("twice", stream=stream, features=named), name="twice")
    answer = client.post(URL, {"feature_set": "twice@v1", "rows": [at(0, amount=5)]})
    assert "leave it out" in answer.json()["errors"][0]["message"]


def test_a_viewer_may_look_but_not_ask(client: APIClient, pinned: FeatureSet) -> None:
    job = done(client, {"feature_set": "demo@v1", "rows": [at(0)]})
    viewer = api_client(roles.VIEWER)
    assert rows_of(viewer, job)
    assert viewer.post(URL, {"feature_set": "demo@v1", "rows": [at(0)]}).status_code == 403


# --- workers ---


def queued(client: APIClient) -> HistoricalJob:
    made = client.post(URL, {"feature_set": "demo@v1", "rows": [at(0)]}).json()
    return HistoricalJob.objects.get(pk=made["id"])


def die(job: HistoricalJob) -> None:
    past = timezone.now() - timedelta(seconds=1)
    HistoricalJob.objects.filter(pk=job.pk).update(lease_until=past)


def test_the_training_workers_are_told_after_the_commit(
    client: APIClient,
    pinned: FeatureSet,
    redis_connection: redis.Redis,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    redis_connection.delete(QUEUE)
    with django_capture_on_commit_callbacks(execute=True):
        job = queued(client)
    (message,) = redis_connection.lrange(QUEUE, 0, -1)
    assert str(job.pk).encode() in message


def test_a_job_that_somebody_has_is_left_alone(client: APIClient, pinned: FeatureSet) -> None:
    job = queued(client)
    assert job.claim()
    historical.run(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.fence) == ("running", 1)
    assert historical.due() == []


def test_a_job_whose_worker_died_is_announced_and_finished_once(
    client: APIClient, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    job = queued(client)
    assert job.claim()
    die(job)
    redis_connection.delete(QUEUE)
    tasks.requeue_historical()
    (message,) = redis_connection.lrange(QUEUE, 0, -1)
    assert str(job.pk).encode() in message
    historical.run(str(job.pk))
    historical.run(str(job.pk))  # its message was delivered twice
    job.refresh_from_db()
    assert (job.status, job.fence, job.rows) == ("succeeded", 2, 1)


def test_a_job_that_kills_its_workers_is_given_up(client: APIClient, pinned: FeatureSet) -> None:
    job = queued(client)
    for _ in range(3):
        assert historical.due() == [str(job.pk)]
        assert job.claim()
        die(job)
    assert historical.due() == []
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "The worker died 3 times; given up.")


def test_a_worker_that_lost_its_job_writes_no_more(
    client: APIClient, pinned: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queued(client)
    build = offline.at_moments

    def lose(*args: Any, **kwargs: Any) -> Any:
        die(job)
        assert HistoricalJob.objects.get(pk=job.pk).claim()
        return build(*args, **kwargs)

    monkeypatch.setattr(offline, "at_moments", lose)
    historical.run(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.fence, job.output_path) == ("running", 2, "")


def test_a_full_disk_fails_the_job_and_says_so(
    client: APIClient, pinned: FeatureSet, settings: Any
) -> None:
    Path(settings.DATA_ROOT).mkdir(parents=True, exist_ok=True)
    (Path(settings.DATA_ROOT) / "historical").write_text("no folder can be made here")
    job = done(client, {"feature_set": "demo@v1", "rows": [at(0)]})
    assert job["status"] == "failed"
    assert job["error"].startswith("The features can't be computed: ")


def test_what_a_killed_worker_left_is_deleted_after_a_day(settings: Any) -> None:
    import os  # noqa: PLC0415

    folder = Path(settings.DATA_ROOT) / "historical"
    folder.mkdir(parents=True)
    old, young, whole = (folder / name for name in (".a.parquet.12", ".b.parquet.13", "c.parquet"))
    for path in (old, young, whole):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert historical.clear_leftovers() == 1
    assert sorted(folder.iterdir()) == sorted([young, whole])
