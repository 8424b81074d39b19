"""Scores of raw events: the feature store brings what the caller doesn't know."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import EventKey, FeatureSet, Stream
from features.services import streams
from inference import jobs, journal, services
from inference.fleet import fleet
from inference.models import Prediction
from models_app.models import ModelVersion
from tests.factories import (
    api_client,
    make_set,
    make_stream,
    make_user,
    make_view,
    pinned_version,
    raw_event,
)
from tests.features.online_door import NOON, ago, materialize, send

pytestmark = pytest.mark.django_db

SPENT = [
    {"name": "count_7d", "aggregate": "count", "window": "7d"},
    {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
    {"name": "to_mean", "expression": "ratio(amount, mean_7d)"},
    {"name": "last_kind", "aggregate": "last", "of": "merchant_category", "window": "7d"},
    {"name": "steps", "sequence": ["amount"], "length": 3, "window": "7d"},
]
SEEN = [{"name": "seen_1d", "aggregate": "count", "window": "1d"}]
Post = Callable[..., Any]


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def feature_set(stream: Stream) -> FeatureSet:
    """Features of two entities, built over the empty log."""
    spent = make_view("spent", stream=stream, features=SPENT)
    seen = make_view("seen", stream=stream, entity="terminal", features=SEEN, ttl="2d")
    pinned = make_set(spent, seen, name="cards")
    materialize()
    return pinned


@pytest.fixture
def pinned(own_folders: Any, feature_set: FeatureSet) -> ModelVersion:
    """A deployed version that pins the set."""
    version = pinned_version(feature_set)
    services.deploy(model=version.model, actor=version.created_by)
    return version


@pytest.fixture
def sender(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def post(client: Client, service: dict[str, str], pinned: ModelVersion) -> Post:
    def ask(verb: str = "predict", **body: Any) -> Any:
        return client.post(
            f"/api/v1/models/{pinned.model.name}/{verb}",
            body,
            content_type="application/json",
            headers=service,
        )

    return ask


@pytest.fixture
def receipt(client: Client, service: dict[str, str]) -> Callable[[Any], dict[str, Any]]:
    def read(answer: Any) -> dict[str, Any]:
        assert answer.status_code == 200, answer.content
        found = client.get(f"/api/v1/predictions/{answer.json()['prediction_id']}", headers=service)
        body: dict[str, Any] = found.json()
        return body

    return read


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows by one with each round trip to Redis."""
    made: list[Any] = []
    send_packed = redis.Connection.send_packed_command

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        made.append(args)
        return send_packed(self, *args, **options)

    monkeypatch.setattr(redis.Connection, "send_packed_command", counted)
    return made


def event(**changes: Any) -> dict[str, Any]:
    return raw_event(**{"timestamp": NOON.isoformat(), **changes})


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_raw_event_gets_a_score(post: Post, pinned: ModelVersion) -> None:
    answer = post(event=event())
    assert answer.status_code == 200
    assert answer.json()["model"] == pinned.model.name
    assert 0 <= answer.json()["score"] <= 1


def test_the_entitys_past_is_in_the_features(
    post: Post, sender: APIClient, stream: Stream, receipt: Any
) -> None:
    send(sender, stream, event(timestamp=ago(days=1), amount=10, merchant_category="fuel"),
         event(timestamp=ago(days=2), amount=20), event(timestamp=ago(days=8), amount=1e6),
         event(timestamp=ago(days=1), amount=1e6, customer_id="c2", terminal_id="t2"))  # fmt: skip
    found = receipt(post(event=event(amount=60)))
    assert found["features"] == {
        "count_7d": 3, "mean_7d": 30, "to_mean": 2, "last_kind": "grocery", "seen_1d": 1,
    }  # fmt: skip


@pytest.mark.parametrize("ship_first", [False, True])
def test_the_receipt_names_versions_statuses_and_ages(
    post: Post, sender: APIClient, stream: Stream, receipt: Any, ship_first: bool
) -> None:
    send(sender, stream, event(timestamp=ago(days=3), amount=10, terminal_id="t2"))
    send(sender, stream, event(timestamp=ago(days=3), customer_id="c2", terminal_id="t1"))
    answer = post(event=event(transaction_id="tx-9", is_fraud=True))
    if ship_first:
        jobs.ship(settings.JOURNAL_ROOT)
    context = receipt(answer)["context"]
    assert context == {
        "feature_set": "cards@v1",
        "stream": "payments",
        "event_id": "tx-9",
        "event_time": NOON.isoformat(),
        "event": {
            "transaction_id": "tx-9", "timestamp": 1_772_366_400_000_000, "customer_id": "c1",
            "terminal_id": "t1", "amount": 42.5, "merchant_category": "grocery",
        },
        "features": {
            **{
                name: {"version": "spent@v1", "status": "PRESENT"}
                for name in ("count_7d", "mean_7d", "to_mean", "last_kind")
            },
            "seen_1d": {"version": "seen@v1", "status": "PRESENT"},
        },
        "views": {
            "spent@v1": {"as_of": NOON.isoformat(), "age_seconds": 0},
            "seen@v1": {"as_of": NOON.isoformat(), "age_seconds": 0},
        },
    }  # fmt: skip


def test_an_unknown_entity_is_told_by_its_status(post: Post, receipt: Any) -> None:
    found = receipt(post(event=event(customer_id="nobody")))
    assert found["context"]["features"]["count_7d"]["status"] == "NOT_FOUND"
    assert found["features"]["count_7d"] == 1  # the event at hand


def test_a_view_that_leaves_the_event_out_tells_how_old_its_values_are(
    sender: APIClient, stream: Stream, client: Client, service: Any, receipt: Any, own_folders: Any
) -> None:
    small = make_view("small", stream=stream, where="amount < 50", features=SPENT, ttl="1d")
    version = pinned_version(make_set(small))
    services.deploy(model=version.model, actor=version.created_by)
    materialize()
    send(sender, stream, event(timestamp=ago(hours=3), amount=10),
         event(timestamp=ago(days=3), amount=10, customer_id="c2"))  # fmt: skip

    def ask(customer: str) -> Any:
        answer = client.post(
            f"/api/v1/models/{version.model.name}/predict",
            {"event": event(amount=1000, customer_id=customer)},
            content_type="application/json",
            headers=service,
        )
        found = receipt(answer)
        status = found["context"]["features"]["count_7d"]["status"]
        age = found["context"]["views"]["small@v1"]["age_seconds"]
        return found["features"]["count_7d"], found["features"]["mean_7d"], status, age

    assert ask("c1") == (1, 10, "PRESENT", 3 * 3600)
    assert ask("c2") == (0, None, "EXPIRED", 3 * 86_400)
    assert ask("c3") == (0, None, "NOT_FOUND", None)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"amount": "12"}, "event.amount", "must be a number"),
        ({"amount": -1}, "event.amount", "at least 0"),
        ({"customer_id": None}, "event.customer_id", "is required"),
        ({"transaction_id": None}, "event.transaction_id", "is required"),
        ({"timestamp": "yesterday"}, "event.timestamp", "ISO 8601"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "event.timestamp", "future"),
        ({"weather": "rain"}, "event.weather", "not in the stream's schema"),
        ({"merchant_category": "a\x00"}, "event.merchant_category", "NUL"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_recorded(
    post: Post, changes: Any, field: str, text: str
) -> None:
    found = errors(post(event=event(**changes)))
    assert list(found) == [field]
    assert text in found[field]
    assert journal.segments(settings.JOURNAL_ROOT) == []


@pytest.mark.parametrize("wrong", [None, [], "x", 7])
def test_an_event_must_be_an_object(post: Post, wrong: Any) -> None:
    assert list(errors(post(event=wrong))) == ["event"]


def test_a_value_that_the_model_never_saw_is_named(post: Post) -> None:
    found = errors(post(event=event(merchant_category="casino")))
    assert "unknown category 'casino'" in found["event.features.last_kind"]


def test_the_same_event_by_its_features_gives_the_same_score(
    post: Post, sender: APIClient, stream: Stream, receipt: Any
) -> None:
    send(sender, stream, event(timestamp=ago(hours=5), amount=500))
    by_event = post(event=event(amount=900))
    features = receipt(by_event)["features"]
    by_hand = post(features=features)
    assert by_hand.json()["score"] == by_event.json()["score"]
    assert receipt(by_hand)["context"] is None


def test_features_and_an_event_together_are_refused(post: Post) -> None:
    assert errors(post(event=event(), features={})) == {"features": "give it or 'event', not both"}


def test_a_body_without_either_names_both(post: Post) -> None:
    assert errors(post()) == {"features": "this field is required; or send 'event'"}


def test_scoring_an_event_does_not_add_it_to_the_stream(post: Post, receipt: Any) -> None:
    first, second = (receipt(post(event=event())) for _ in range(2))
    assert first["features"] == second["features"]
    assert not EventKey.objects.exists()


def test_the_score_is_the_same_before_and_after_the_event_is_sent(
    post: Post, sender: APIClient, stream: Stream
) -> None:
    one = event(amount=700)
    before = post(event=one).json()["score"]
    send(sender, stream, one)
    assert post(event=one).json()["score"] == before


def test_the_moment_is_the_events_own(
    post: Post, sender: APIClient, stream: Stream, receipt: Any
) -> None:
    send(sender, stream, event(timestamp=ago(days=1)))
    early = receipt(post(event=event(timestamp=ago(days=2))))
    assert early["features"]["count_7d"] == 1


def test_an_emptied_store_is_not_ready_until_it_is_rebuilt(
    post: Post, sender: APIClient, stream: Stream, redis_connection: redis.Redis, receipt: Any
) -> None:
    send(sender, stream, event(timestamp=ago(days=1)))
    redis_connection.flushdb()
    answer = post(event=event())
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert int(answer["Retry-After"]) > 0
    assert journal.segments(settings.JOURNAL_ROOT) == []
    materialize(all=True)
    assert receipt(post(event=event()))["features"]["count_7d"] == 2


def test_features_by_hand_need_no_store(
    post: Post, receipt: Any, redis_connection: redis.Redis
) -> None:
    features = receipt(post(event=event()))["features"]
    redis_connection.flushdb()
    assert post(features=features).status_code == 200


def test_a_store_that_is_away_is_not_ready(
    post: Post, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    post(event=event())
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = post(event=event())
    assert answer.status_code == 503
    assert "not reachable" in answer.json()["detail"]


def test_a_warm_prediction_asks_the_database_nothing_and_redis_once(
    post: Post, trips: list[Any], django_assert_num_queries: Any
) -> None:
    post(event=event())
    trips.clear()
    with django_assert_num_queries(0):
        assert post(event=event()).status_code == 200
    assert len(trips) == 1


def test_a_batch_of_events_takes_one_round_trip(
    post: Post, trips: list[Any], sender: APIClient, stream: Stream
) -> None:
    send(sender, stream, event(timestamp=ago(days=1), amount=800, customer_id="c2"))
    batch = [event(customer_id=f"c{i % 3}", amount=float(i)) for i in range(30)]
    singles = [post(event=one).json()["score"] for one in batch]
    trips.clear()
    answer = post("batch-predict", events=batch)
    assert len(trips) == 1
    assert [row["score"] for row in answer.json()["predictions"]] == singles


def test_a_large_batch_asks_redis_for_a_hundred_events_at_a_time(
    post: Post, trips: list[Any]
) -> None:
    amounts = [float(i) for i in range(1, 251)]
    trips.clear()
    answer = post("batch-predict", events=[event(amount=amount) for amount in amounts])
    assert len(trips) == 3
    jobs.ship(settings.JOURNAL_ROOT)
    stored = {str(row.pk): row for row in Prediction.objects.all()}
    told = [stored[row["prediction_id"]] for row in answer.json()["predictions"]]
    assert [row.features["mean_7d"] for row in told] == amounts
    assert [row.context["event"]["amount"] for row in told] == amounts


def test_a_wrong_event_of_a_batch_is_named_and_nothing_is_recorded(post: Post) -> None:
    answer = post("batch-predict", events=[event(), event(amount="x"), event(timestamp=7)])
    assert set(errors(answer)) == {"events.1.amount", "events.2.timestamp"}
    answer = post("batch-predict", events=[event(), event(merchant_category="casino")])
    assert list(errors(answer)) == ["events.1.features.last_kind"]
    answer = post("batch-predict", events=[event(amount="x")])
    assert list(errors(answer)) == ["events.0.amount"]
    assert journal.segments(settings.JOURNAL_ROOT) == []


@pytest.mark.parametrize("wrong", [[], {}, None, "x"])
def test_a_batch_must_be_a_list_of_events(post: Post, wrong: Any) -> None:
    assert list(errors(post("batch-predict", events=wrong))) == ["events"]


def test_a_model_without_a_feature_set_says_what_to_send(
    client: Client, service: Any, version: Any
) -> None:
    for verb, body, instead in (
        ("predict", {"event": event()}, "'features'"),
        ("batch-predict", {"events": [event()]}, "'instances'"),
    ):
        answer = client.post(
            f"/api/v1/models/{version.model.name}/{verb}",
            body,
            content_type="application/json",
            headers=service,
        )
        [(field, text)] = errors(answer).items()
        assert field in body
        assert "has no feature set" in text
        assert instead in text


def test_a_field_that_the_stream_gets_later_is_taken_by_the_serving_version(
    post: Post, stream: Stream
) -> None:
    assert list(errors(post(event=event(note="hi")))) == ["event.note"]
    before = fleet.get(ModelVersion.objects.get().model.name)
    definition = {
        **stream.definition,
        "fields": [*stream.definition["fields"], {"name": "note", "type": "text"}],
    }
    streams.change_stream(
        stream=stream, actor=make_user(roles.DATA_SCIENTIST), definition=definition
    )
    fleet.synchronize()  # what the follower does every few seconds
    assert post(event=event(note="hi")).status_code == 200
    assert fleet.get(before.model_name).scorer is before.scorer


def test_a_version_that_wants_what_its_set_does_not_give_is_not_deployed(
    version: Any, feature_set: FeatureSet, client: Client, bearer: Any
) -> None:
    version.feature_set = feature_set
    version.save(update_fields=["feature_set"])
    answer = client.post(
        f"/api/v1/models/{version.model.name}/deploy",
        {},
        content_type="application/json",
        headers=bearer(roles.OPERATOR),
    )
    assert answer.status_code == 409
    assert "cards@v1 does not give what they take: location" in answer.json()["detail"]
