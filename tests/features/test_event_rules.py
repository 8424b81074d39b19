"""What a stream takes and what it refuses, and with which words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import EventKey, HotEvent, QuarantinedRow
from tests.factories import PAYMENTS, api_client, make_stream, raw_event

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events/payments"
HUGE = 10**400


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.SERVICE)


def fields(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The payments' fields, some of them with other rules, or new."""
    known = {field["name"]: field for field in PAYMENTS["fields"]}
    for name, change in changes.items():
        known[name] = {"name": name, **known.get(name, {}), **change}
    return list(known.values())


def send(client: APIClient, **changes: Any) -> HttpResponse:
    return client.post(EVENTS, {"event": raw_event(**changes)})


def refusal(answer: HttpResponse) -> list[tuple[str, str]]:
    """The field, and the rule that quarantine names."""
    assert answer.status_code == 400, answer.text
    assert not EventKey.objects.exists()
    rules = [reason["rule"] for reason in QuarantinedRow.objects.get().reasons]
    told = [error["field"].removeprefix("event.") for error in answer.json()["errors"]]
    return list(zip(told, rules, strict=True))


def logged() -> dict[str, Any]:
    return HotEvent.objects.get().payload


def us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"transaction_id": None}, "transaction_id", "missing"),
        ({"transaction_id": ""}, "transaction_id", "missing"),
        ({"transaction_id": 17}, "transaction_id", "type"),
        ({"transaction_id": "x" * 101}, "transaction_id", "length"),
        ({"timestamp": None}, "timestamp", "missing"),
        ({"timestamp": "yesterday"}, "timestamp", "type"),
        ({"timestamp": 1767225600}, "timestamp", "type"),
        ({"timestamp": "2026-13-01T00:00:00Z"}, "timestamp", "type"),
        ({"timestamp": "0001-01-01T00:00:00+10:00"}, "timestamp", "range"),
        ({"timestamp": "1899-12-31T23:59:59Z"}, "timestamp", "range"),
        ({"timestamp": "2126-01-01T00:00:00Z"}, "timestamp", "future"),
        ({"customer_id": None}, "customer_id", "missing"),
        ({"customer_id": ""}, "customer_id", "missing"),
        ({"customer_id": ["c1"]}, "customer_id", "type"),
        ({"amount": None}, "amount", "missing"),
        ({"amount": "42"}, "amount", "type"),
        ({"amount": True}, "amount", "type"),
    ],
)
@pytest.mark.parametrize("policy", ["strict", "warn"])
def test_what_makes_no_event_is_refused_under_any_policy(
    client: APIClient, policy: str, changes: dict[str, Any], field: str, rule: str
) -> None:
    make_stream("payments", policy=policy)
    assert refusal(send(client, **changes)) == [(field, rule)]


@pytest.mark.parametrize(
    ("changes", "field", "rule", "left"),
    [
        ({"amount": -1}, "amount", "range", -1.0),
        ({"score": 1.5}, "score", "range", 1.5),
        ({"score": "high"}, "score", "type", None),
        ({"score": False}, "score", "type", None),
        ({"tries": 2.5}, "tries", "type", None),
        ({"tries": 2**63}, "tries", "range", None),
        ({"tries": "2"}, "tries", "type", None),
        ({"is_fraud": 1}, "is_fraud", "type", None),
        ({"channel": "mail"}, "channel", "allowed", "mail"),
        ({"merchant_category": "x" * 201}, "merchant_category", "length", "x" * 201),
        ({"merchant_category": "x" * 1001}, "merchant_category", "length", None),
        ({"merchant_category": {"a": 1}}, "merchant_category", "type", None),
        ({"color": "red"}, "color", "unknown_field", None),
    ],
)
def test_other_rules_refuse_a_strict_streams_row_and_are_counted_by_a_lenient_one(
    client: APIClient, changes: dict[str, Any], field: str, rule: str, left: Any
) -> None:
    schema = fields(
        score={"type": "number", "max": 1},
        tries={"type": "integer"},
        channel={"type": "text", "allowed": ["web", "shop"]},
    )
    stream = make_stream("payments", fields=schema)
    assert refusal(send(client, **changes)) == [(field, rule)]
    stream.policy = "warn"
    stream.save()
    answer = send(client, **changes).json()
    assert (answer["accepted"], answer["rejected"], answer["warnings"]) == (1, 0, 1)
    assert logged().get(field) == left
    assert stream.rule_counts.get(rule=rule, field=field).count == 2


def test_a_row_names_all_that_is_wrong_with_it(client: APIClient) -> None:
    make_stream("payments")
    answer = send(client, amount=-1, customer_id=None, color="red")
    assert sorted(refusal(answer)) == [
        ("amount", "range"), ("color", "unknown_field"), ("customer_id", "missing"),
    ]  # fmt: skip


def test_a_row_that_is_no_object_is_refused(client: APIClient) -> None:
    make_stream("payments")
    answer = client.post(EVENTS, {"events": [["tx-1", 2]]})
    assert [error["field"] for error in answer.json()["errors"]] == ["events.0"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 07:00:00-05:00",
        "20260301T120000Z", "2026-03-01T12:00:00.000000001Z",
    ],
)  # fmt: skip
def test_a_time_of_any_zone_is_the_same_moment(client: APIClient, text: str) -> None:
    make_stream("payments")
    assert send(client, timestamp=text).status_code == 200
    assert logged()["timestamp"] == us(datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_a_time_without_a_zone_is_of_the_streams_zone(client: APIClient) -> None:
    make_stream("payments", timezone="Asia/Tokyo")
    send(client, timestamp="2026-03-01T12:00:00")
    assert logged()["timestamp"] == us(datetime(2026, 3, 1, 3, tzinfo=UTC))


def test_a_clock_that_is_a_little_ahead_is_allowed(client: APIClient) -> None:
    make_stream("payments", future_seconds=60)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert send(client, timestamp=soon.isoformat()).status_code == 200
    late = datetime.now(UTC) + timedelta(seconds=90)
    assert send(client, timestamp=late.isoformat()).status_code == 400


def test_numbers_are_kept_in_the_fields_type(client: APIClient) -> None:
    make_stream("payments", fields=fields(tries={"type": "integer"}))
    send(client, amount=5, tries=3.0)
    assert (logged()["amount"], logged()["tries"]) == (5, 3)
    assert type(logged()["tries"]) is int


def test_null_is_no_value(client: APIClient) -> None:
    make_stream("payments")
    event = {**raw_event(), "merchant_category": None}
    assert client.post(EVENTS, {"event": event}).status_code == 200
    assert "merchant_category" not in logged()


class TestKnownTime:
    """A stream whose sender tells when it knew an event."""

    @pytest.fixture(autouse=True)
    def _stream(self, db: None) -> None:
        make_stream("payments", known_time="booked_at", fields=fields(booked_at={"type": "time"}))

    def test_it_is_taken_from_its_field(self, client: APIClient) -> None:
        send(client, booked_at="2026-03-02T08:00:00Z")
        assert HotEvent.objects.get().known_time == datetime(2026, 3, 2, 8, tzinfo=UTC)

    def test_it_is_the_time_of_arrival_when_nothing_is_said(self, client: APIClient) -> None:
        before = datetime.now(UTC)
        send(client)
        assert before <= HotEvent.objects.get().known_time <= datetime.now(UTC)

    @pytest.mark.parametrize(
        ("booked_at", "rule"),
        [
            ("2026-03-01T11:00:00Z", "known_before"),
            ("2126-01-01T00:00:00Z", "future"),
            ("soon", "type"),
        ],
    )
    def test_it_can_not_be_before_the_event_or_in_the_future(
        self, client: APIClient, booked_at: str, rule: str
    ) -> None:
        assert refusal(send(client, booked_at=booked_at)) == [("booked_at", rule)]


def test_unknown_fields_fill_the_counts_up_to_a_limit(client: APIClient) -> None:
    stream = make_stream("payments", policy="warn")
    events = [raw_event(**{f"field_{i}_{j}": 1 for j in range(10)}) for i in range(20)]
    answer = client.post(EVENTS, {"events": events}).json()
    assert (answer["accepted"], answer["warnings"]) == (20, 200)
    counts = stream.rule_counts.filter(rule="unknown_field")
    assert counts.count() == 101
    assert sum(row.count for row in counts) == 200
