"""Asking for features of this moment over REST."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import FeatureSet, Stream
from tests.factories import api_client, make_set, make_stream, make_view, raw_event
from tests.features.online_door import NOON, ONLINE, ago, ask, materialize, send

pytestmark = pytest.mark.django_db
SPENT = [
    {"name": "count_7d", "aggregate": "count", "window": "7d"},
    {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
    {"name": "ratio", "expression": "ratio(amount, mean_7d)"},
    {"name": "last_2", "sequence": ["amount"], "length": 2, "window": "7d"},
]


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def pinned(client: APIClient, stream: Stream) -> FeatureSet:
    views = [
        make_view("spent", stream=stream, features=SPENT),
        make_view("own", stream=stream, entity=None,
                  features=[{"name": "hour", "expression": "hour(event_time)"}]),
    ]  # fmt: skip
    built = make_set(*views, name="fraud")
    materialize()
    send(client, stream, raw_event(timestamp=ago(days=2), amount=10),
         raw_event(timestamp=ago(days=1), amount=30))  # fmt: skip
    return built


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_raw_event_is_answered_with_values_versions_and_ages(
    client: APIClient, pinned: FeatureSet
) -> None:
    event = raw_event(timestamp=ago(), amount=20)
    body = ask(client, pinned, event=event)
    assert body["feature_set"] == "fraud@v1"
    assert list(body["features"]) == ["count_7d", "mean_7d", "ratio", "last_2", "hour"]
    assert body["features"]["ratio"] == {
        "value": 1.0, "version": "spent@v1", "status": "PRESENT",
        "as_of": "2026-03-01T12:00:00Z", "age_seconds": 0,
    }  # fmt: skip
    assert body["features"]["last_2"]["value"] == [[30], [20]]
    assert body["features"]["hour"] == {
        "value": 12, "version": "own@v1", "status": "PRESENT", "as_of": None, "age_seconds": None,
    }  # fmt: skip
    assert "approximate" not in body


def test_entities_alone_are_answered_as_of_a_moment(client: APIClient, pinned: FeatureSet) -> None:
    body = ask(client, pinned, entities={"customer": "c1"})
    assert body["features"]["count_7d"]["value"] == 2
    assert body["features"]["count_7d"]["age_seconds"] == 86_400
    assert body["features"]["ratio"]["status"] == "NULL"
    earlier = ask(client, pinned, entities={"customer": "c1"}, at=ago(days=1, hours=1))
    assert earlier["features"]["count_7d"]["value"] == 1


def test_without_a_moment_it_is_now(client: APIClient, pinned: FeatureSet) -> None:
    before = datetime.now(UTC)
    answer = client.post(ONLINE, {"feature_set": "fraud@v1", "entities": {"customer": "c1"}})
    age = answer.json()["features"]["count_7d"]["age_seconds"]
    assert age is None or age >= (before - NOON).total_seconds()


def test_many_requests_are_answered_in_their_order(client: APIClient, pinned: FeatureSet) -> None:
    wanted = [
        {"entities": {"customer": "c1"}, "at": NOON.isoformat()},
        {"event": raw_event(timestamp=ago(), customer_id="c2")},
        {"entities": {"customer": "c3"}, "at": NOON.isoformat()},
    ]
    answer = client.post(ONLINE, {"feature_set": "fraud", "requests": wanted})
    found = [one["features"]["count_7d"] for one in answer.json()["results"]]
    assert [(one["value"], one["status"]) for one in found] == [
        (2, "PRESENT"), (1, "NOT_FOUND"), (0, "NOT_FOUND"),
    ]  # fmt: skip


def test_an_entity_that_is_not_named_has_no_past(client: APIClient, pinned: FeatureSet) -> None:
    for entities in ({"customer": None}, {"terminal": "t1"}):
        features = ask(client, pinned, entities=entities)["features"]
        assert features["count_7d"]["value"] == 0
        assert {one["status"] for one in features.values()} == {"NOT_FOUND", "PRESENT"}
        assert features["hour"]["value"] == 12


def test_the_label_may_be_absent_even_where_the_schema_needs_it(
    client: APIClient, pinned: FeatureSet
) -> None:
    stream = Stream.objects.get()
    for field in stream.definition["fields"]:
        field["required"] = field["name"] == "is_fraud" or field.get("required", False)
    stream.save()
    event = raw_event(timestamp=ago())
    assert ask(client, pinned, event=event)["features"]["count_7d"]["value"] == 3


def test_an_unknown_set_is_not_found(client: APIClient, pinned: FeatureSet) -> None:
    answer = client.post(ONLINE, {"feature_set": "fraud@v7", "entities": {"customer": "c1"}})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "No feature set fraud@v7."


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"entities": "give entities, or an event"}),
        ({"entities": {"shop": "s"}},
         {"entities.shop": "is no entity of the stream; known: customer, terminal"}),
        ({"entities": {"customer": ["c1"]}}, {"entities.customer": "is no key of this entity"}),
        ({"entities": {"customer": ""}}, {"entities.customer": "is no key of this entity"}),
        ({"entities": {"customer": "c2"}, "event": raw_event(timestamp=ago())},
         {"entities.customer": "differs from the event's customer_id"}),
        ({"event": raw_event(timestamp=ago()), "at": ago()},
         {"at": "an event has its own time"}),
        ({"event": raw_event(timestamp=ago(), amount="much")},
         {"event.amount": "must be a number"}),
        ({"event": raw_event(timestamp=None, color="red")},
         {"event.timestamp": "is required", "event.color": "is not in the stream's schema"}),
        ({"requests": [{"entities": {"customer": "c1"}}, {"event": raw_event(amount=-1)}]},
         {"requests.1.event.amount": "must be at least 0"}),
        ({"requests": []}, {"requests": "must be a list of 1 to 500 requests"}),
        ({"requests": [{}], "entities": {}},
         {"requests": "give either requests or one request"}),
        ({"entity": {"customer": "c1"}}, {"entity": "unknown field"}),
        ({"feature_set": "Fraud!"}, {"feature_set": "'Fraud!' is not of the form name@v2"}),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_by_name(
    client: APIClient, pinned: FeatureSet, wanted: dict[str, Any], expected: dict[str, str]
) -> None:
    assert errors(client.post(ONLINE, {"feature_set": "fraud@v1", **wanted})) == expected


def test_integer_keys_have_one_spelling(client: APIClient) -> None:
    fields = [
        {"name": "transaction_id", "type": "text"}, {"name": "timestamp", "type": "time"},
        {"name": "customer_id", "type": "integer"},
    ]  # fmt: skip
    stream = make_stream(fields=fields, entities={"customer": "customer_id"}, label=None)
    pinned = make_set(make_view(stream=stream))
    materialize()
    sent = {"transaction_id": "a", "timestamp": ago(days=1), "customer_id": 7}
    send(client, stream, sent)
    for key in (7, "7", "007"):
        found = ask(client, pinned, entities={"customer": key})["features"]
        assert found["payments_7d"]["value"] == 1
    answer = client.post(ONLINE, {"feature_set": str(pinned), "entities": {"customer": "x"}})
    assert errors(answer) == {"entities.customer": "is no key of this entity"}


def test_a_store_that_is_away_is_said_to_be(
    client: APIClient, pinned: FeatureSet, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.post(ONLINE, {"feature_set": "fraud@v1", "entities": {"customer": "c1"}})
    assert answer.status_code == 503
    assert answer["Retry-After"] == "2"
    assert answer.json()["detail"] == "The online store is not reachable."
