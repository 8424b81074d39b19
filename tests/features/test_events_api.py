"""Sending events: each counts once, and the answer says what became of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import EventKey, HotEvent, QuarantinedRow, Stream
from features.services import events
from tests.factories import api_client, make_stream, make_user, make_view, raw_event

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events/payments"
STREAM = "/api/v1/streams/payments"


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def client(stream: Stream) -> APIClient:
    return api_client(roles.OPERATOR)


def counts(answer: HttpResponse) -> tuple[int, int, int]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["accepted"], body["duplicates"], body["rejected"]


def test_one_event_is_logged(client: APIClient) -> None:
    answer = client.post(EVENTS, {"event": raw_event(transaction_id="a")})
    assert answer.json() == {
        "accepted": 1, "duplicates": 0, "rejected": 0, "warnings": 0, "pending_online": 0,
        "errors": [],
    }  # fmt: skip
    key = EventKey.objects.get()
    assert (key.event_id, key.keys) == ("a", ["c1", "t1"])
    assert key.seq == HotEvent.objects.get().seq


def test_many_events_arrive_in_the_order_of_the_list(client: APIClient) -> None:
    ids = [f"tx-{i * 7919 % 1000}" for i in range(1000)]
    sent = [raw_event(transaction_id=one) for one in ids]
    assert counts(client.post(EVENTS, {"events": sent})) == (1000, 0, 0)
    assert list(HotEvent.objects.order_by("seq").values_list("event_id", flat=True)) == ids


def test_a_good_row_is_taken_beside_a_bad_one(client: APIClient) -> None:
    sent = [raw_event(), raw_event(transaction_id="bad", amount=-1), raw_event()]
    answer = client.post(EVENTS, {"events": sent})
    assert counts(answer) == (2, 0, 1)
    assert answer.json()["errors"] == [
        {"index": 1, "event_id": "bad", "field": "amount", "rule": "range",
         "message": "must be at least 0"}
    ]  # fmt: skip


def test_only_the_first_hundred_errors_are_told(client: APIClient) -> None:
    sent = [raw_event(), *(raw_event(amount=-1) for _ in range(150))]
    answer = client.post(EVENTS, {"events": sent})
    assert counts(answer) == (1, 0, 150)
    assert len(answer.json()["errors"]) == 100


def test_when_all_rows_are_refused_the_answer_names_their_fields(client: APIClient) -> None:
    sent = [raw_event(amount=-1), raw_event(customer_id=None)]
    answer = client.post(EVENTS, {"events": sent})
    assert answer.status_code == 400
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["events.0.amount", "events.1.customer_id"]
    assert QuarantinedRow.objects.count() == 2


def test_an_event_sent_again_counts_once(client: APIClient) -> None:
    event = raw_event()
    client.post(EVENTS, {"event": event})
    assert counts(client.post(EVENTS, {"event": event})) == (0, 1, 0)
    assert HotEvent.objects.count() == EventKey.objects.count() == 1


def test_the_same_content_in_other_words_is_the_same_event(client: APIClient) -> None:
    client.post(EVENTS, {"event": raw_event(transaction_id="a", amount=5)})
    again = raw_event(transaction_id="a", amount=5.0, timestamp="2026-03-01T13:00:00+01:00")
    assert counts(client.post(EVENTS, {"event": dict(reversed(again.items()))})) == (0, 1, 0)


def test_an_id_with_other_content_is_a_conflict(client: APIClient) -> None:
    client.post(EVENTS, {"event": raw_event(transaction_id="a", amount=5)})
    answer = client.post(EVENTS, {"event": raw_event(transaction_id="a", amount=6)})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "event.transaction_id", "message": "is the id of an event with other content"}
    ]
    assert QuarantinedRow.objects.get().reasons[0]["rule"] == "conflict"
    assert HotEvent.objects.get().payload["amount"] == 5


def test_the_same_id_twice_in_one_request(client: APIClient) -> None:
    first = raw_event(transaction_id="a", amount=5)
    answer = client.post(EVENTS, {"events": [first, first, {**first, "amount": 6}]})
    assert counts(answer) == (1, 1, 1)
    assert answer.json()["errors"][0]["index"] == 2


def test_a_conflict_and_a_duplicate_of_a_logged_event_in_one_request(client: APIClient) -> None:
    first = raw_event(transaction_id="a", amount=5)
    client.post(EVENTS, {"event": first})
    answer = client.post(EVENTS, {"events": [{**first, "amount": 6}, first]})
    assert counts(answer) == (0, 1, 1)
    assert answer.json()["errors"][0]["index"] == 0


def test_the_same_id_in_another_stream_is_another_event(client: APIClient) -> None:
    make_stream("visits")
    event = raw_event()
    assert counts(client.post(EVENTS, {"event": event})) == (1, 0, 0)
    assert counts(client.post("/api/v1/events/visits", {"event": event})) == (1, 0, 0)


def test_events_out_of_order_and_a_year_late_are_logged_as_known_now(client: APIClient) -> None:
    now = datetime.now(UTC)
    times = [now, now - timedelta(days=365), now - timedelta(hours=1)]
    sent = [raw_event(timestamp=time.isoformat()) for time in times]
    assert counts(client.post(EVENTS, {"events": sent})) == (3, 0, 0)
    rows = HotEvent.objects.order_by("seq")
    assert [row.event_time for row in rows] == times
    assert all(row.known_time >= now for row in rows)


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, {"event": {}, "events": []}, {"events": []}, {"events": {}}, {"rows": []},
        {"event": {}, "x": 1}, {"events": [{}] * 10_001},
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(client: APIClient, body: Any) -> None:
    assert client.post(EVENTS, body).status_code == 400
    assert not QuarantinedRow.objects.exists()


def test_a_single_event_that_is_no_object_is_refused(client: APIClient) -> None:
    answer = client.post(EVENTS, {"event": "tx-1"})
    assert answer.json()["errors"] == [
        {"field": "event", "message": "must be an object with the event's fields"}
    ]


@pytest.mark.parametrize("name", ["unknown", "Payments", "a%00b", "x" * 300])
def test_a_stream_that_is_not_there_is_not_found(client: APIClient, name: str) -> None:
    answer = client.post(f"/api/v1/events/{name}", {"event": raw_event()})
    assert answer.status_code == 404


def test_quarantine_keeps_the_row_as_it_came_with_its_reasons(client: APIClient) -> None:
    client.post(EVENTS, {"event": raw_event(transaction_id="a", amount=-1)})
    client.post(EVENTS, {"event": raw_event(transaction_id="b", amount="x" * 20_000)})
    newest, oldest = client.get(f"{STREAM}/quarantine").json()["results"]
    assert (oldest["event_id"], oldest["source"], oldest["line"]) == ("a", "api", 0)
    assert oldest["reasons"] == [
        {"field": "amount", "rule": "range", "message": "must be at least 0"}
    ]
    assert '"amount":-1' in oldest["raw"]
    assert (newest["event_id"], len(newest["raw"])) == ("b", 10_000)


def test_quality_tells_how_often_each_rule_was_broken(client: APIClient) -> None:
    sent = [raw_event(), raw_event(amount=-1), raw_event(amount=-2), raw_event(customer_id=None)]
    client.post(EVENTS, {"events": sent})
    client.post(EVENTS, {"events": [raw_event() for _ in range(4)]})
    today = str(datetime.now(UTC).date())
    assert client.get(f"{STREAM}/quality").json()["results"] == [
        {"day": today, "rule": rule, "field": field, "count": n, "rows": 8, "rate": n / 8}
        for rule, field, n in (
            ("rows", "", 8), ("range", "amount", 2), ("missing", "customer_id", 1),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("days", ["0", "367", "x", "-1", "²", "1.5"])
def test_quality_is_asked_for_a_year_at_most(client: APIClient, days: str) -> None:
    answer = client.get(f"{STREAM}/quality", {"days": days})
    assert [error["field"] for error in answer.json()["errors"]] == ["days"]


def test_history_was_known_when_it_happened(stream: Stream) -> None:
    actor = make_user(roles.OPERATOR)
    events.ingest(stream=stream, rows=[raw_event()], actor=actor, source="x", history=True)
    row = HotEvent.objects.get()
    assert row.known_time == row.event_time


def test_events_wait_in_the_log_while_the_online_store_is_away(
    client: APIClient, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_view(stream=stream)
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    answer = client.post(EVENTS, {"events": [raw_event(), raw_event()]})
    assert counts(answer) == (2, 0, 0)
    assert answer.json()["pending_online"] == 2
    assert HotEvent.objects.filter(is_online=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_requests_with_the_same_events_at_once_log_each_once() -> None:
    stream, actor = make_stream("payments"), make_user(roles.OPERATOR)
    rows = [raw_event(transaction_id=f"tx-{i}") for i in range(2000)]
    barrier = threading.Barrier(4)

    def send(order: int) -> tuple[int, int]:
        barrier.wait()
        try:
            given = rows if order % 2 else rows[::-1]
            taken = events.ingest(stream=stream, rows=given, actor=actor, source="test")
            return taken.accepted, taken.duplicates
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(send, range(4)))
    assert sum(accepted for accepted, _ in taken) == 2000
    assert sum(duplicates for _, duplicates in taken) == 6000
    assert HotEvent.objects.count() == EventKey.objects.count() == 2000
