"""An entity with too many events to look at one by one is answered from sums of them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from aegisml.base.errors import NotReady
from features import online
from features.log import Logged
from features.log.events import microseconds
from features.models import EventKey, FeatureSet, Label, Stream
from features.online import Ask, Fetched, Plan
from tests.factories import api_client, make_set, make_stream, make_user, make_view, raw_event
from tests.features.online_door import NOON, ago, ask, materialize, send

pytestmark = pytest.mark.django_db

SECOND = 1_000_000
HOUR = 3600 * SECOND
AT = microseconds(NOON)
WINDOWS = [("3s", "0s"), ("10m", "0s"), ("6h", "0s"), ("3d", "0s"), ("2d", "1d"), ("30m", "1h")]
FUNCTIONS = ["sum", "mean", "std", "min", "max", "last", "distinct"]
FEATURES: list[dict[str, Any]] = [
    {"name": f"{function}_{i}", "aggregate": function, "of": "amount", "window": window, "lag": lag}
    for i, (window, lag) in enumerate(WINDOWS)
    for function in FUNCTIONS
] + [
    {"name": f"{function}_{i}", "aggregate": function, "window": window, "lag": lag}
    for i, (window, lag) in enumerate(WINDOWS)
    for function in ("count", "label_rate")
] + [
    {"name": "big", "aggregate": "count", "window": "2d", "where": "amount > 50"},
    {"name": "kind", "aggregate": "last", "of": "merchant_category", "window": "3d"},
    {"name": "kinds", "aggregate": "distinct", "of": "merchant_category", "window": "3d"},
    {"name": "above", "aggregate": "mean", "of": "amount > 50", "window": "3d"},
    {"name": "was_above", "aggregate": "last", "of": "amount > 50", "window": "3d"},
    {"name": "steps", "sequence": ["amount"], "length": 5, "window": "1d"},
    {"name": "share", "expression": "ratio(amount, mean_3)"},
]  # fmt: skip


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream()


def many(rng: random.Random, count: int, *, customer: str = "c1", first: int = 1) -> list[Logged]:
    """Events of the last four days, in bursts, some in the same microsecond."""
    found = []
    moment = AT - 1
    for seq in range(first, first + count):
        if rng.random() < 0.02:
            moment = AT - rng.randrange(96 * HOUR)
        elif rng.random() < 0.9:
            moment = min(moment + rng.randrange(2 * SECOND), AT)
        payload = {
            "transaction_id": f"{customer}-{seq}",
            "timestamp": moment,
            "customer_id": customer,
            "terminal_id": "t1",
            "amount": float(rng.randrange(100)),
            "merchant_category": rng.choice(["fuel", "grocery", 'te"xt/ü']),
            "is_fraud": rng.random() < 0.1,
        }
        found.append(Logged(seq, f"{customer}-{seq}", moment, moment, payload))
    return found


def plans(stream: Stream, features: Any = FEATURES, **view: Any) -> tuple[Plan, Plan]:
    """One that sums up what is more than ten events, and one that never does."""
    plan = Plan.of(make_set(make_view("hot", stream=stream, features=features, **view)))
    materialize()
    return replace(plan, max_exact=10), replace(plan, max_exact=10**9)


def assert_alike(summed: Sequence[Fetched], exact: Sequence[Fetched]) -> None:
    for one, other in zip(summed, exact, strict=True):
        assert one.values == {name: alike(value) for name, value in other.values.items()}
        assert one.statuses == other.statuses
        [view], [other_view] = one.views.values(), other.views.values()
        assert (view["as_of"], view["age"]) == (other_view["as_of"], other_view["age"])


def alike(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if type(value) is float else value


def is_summed(fetched: Fetched) -> bool:
    return all("approximate" in view for view in fetched.views.values())


def asks_of(rng: random.Random, events: Sequence[Logged], count: int = 10) -> list[Ask]:
    moments = [AT, AT - 1, AT // HOUR * HOUR - 1, AT // HOUR * HOUR]
    moments += [AT - rng.randrange(2 * 24 * HOUR) for _ in range(count)]
    asks = [Ask(at, {"customer": "c1"}) for at in moments]
    for own in rng.sample(events, count):
        key = {"customer": "c1"}
        asks.append(Ask(own.event_time, key, own.payload, own.event_id))
        asks.append(Ask(own.event_time, key, own.payload, f"new-{own.event_id}"))
    return asks


@pytest.mark.parametrize("seed", range(3))
def test_sums_equal_a_look_at_each_event(stream: Stream, seed: int) -> None:
    rng = random.Random(seed)
    summed, exact = plans(stream)
    events = many(rng, 2000)
    online.feed(stream, events)
    asks = asks_of(rng, events)
    first = online.fetch(summed, asks)
    assert sum(is_summed(one) for one in first) > len(asks) / 2
    assert_alike(first, online.fetch(exact, asks))
    assert_alike(online.fetch(summed, asks), first)


def test_the_time_of_the_event_at_hand_counts_too(stream: Stream) -> None:
    hours = {"name": "hours", "aggregate": "mean", "of": "hour(event_time)", "window": "3d"}
    summed, exact = plans(stream, features=[hours])
    events = many(random.Random(3), 200)
    online.feed(stream, events)
    new = Ask(AT + HOUR, {"customer": "c1"}, events[-1].payload, "new")
    [found] = online.fetch(summed, [new])
    assert is_summed(found)
    assert_alike([found], online.fetch(exact, [new]))


def test_what_comes_later_is_counted_once_and_where_it_belongs(stream: Stream) -> None:
    rng = random.Random(7)
    summed, exact = plans(stream)
    events = many(rng, 1600)
    rng.shuffle(events)
    asks = asks_of(rng, events, 2)
    for start in range(0, 1600, 200):
        online.feed(stream, events[start : start + 200])
        online.feed(stream, rng.sample(events[: start + 200], 50))  # again
        assert_alike(online.fetch(summed, asks), online.fetch(exact, asks))


def test_a_late_label_reaches_the_sums(stream: Stream, client: APIClient) -> None:
    sent = [raw_event(transaction_id=f"e{i}", timestamp=ago(minutes=i)) for i in range(40)]
    risk = [{"name": "risk", "aggregate": "label_rate", "window": "7d"}]
    summed, exact = plans(stream, risk)
    send(client, stream, *sent)
    one = [Ask(AT, {"customer": "c1"})]
    assert online.fetch(summed, one)[0].values == {"risk": 0}
    label = Label.objects.create(
        stream=stream,
        event_id="e7",
        source="analyst",
        disposition="confirmed_risk",
        recorded_by=make_user(roles.OPERATOR),
    )
    online.refresh_labels(stream, ["e7"])
    assert online.fetch(summed, one)[0].values == {"risk": 1 / 40}
    label.delete()
    online.refresh_labels(stream, ["e7"])
    assert online.fetch(summed, one)[0].values == {"risk": 0}
    assert is_summed(online.fetch(summed, one)[0])
    assert EventKey.objects.count() == 40


def test_an_own_label_is_not_known_to_its_event(stream: Stream) -> None:
    rng = random.Random(3)
    summed, exact = plans(stream, FEATURES[42:44])
    events = many(rng, 500)
    edge = AT // SECOND * SECOND - 1  # a tile ends with it
    own = replace(events[0], event_time=edge, payload={**events[0].payload, "is_fraud": True})
    online.feed(stream, [own, *events[1:]])
    asks = [Ask(edge, {"customer": "c1"}, own.payload, own.event_id)]
    assert_alike(online.fetch(summed, asks), online.fetch(exact, asks))


def test_many_different_values_are_estimated_within_the_stated_error(stream: Stream) -> None:
    features = [
        {"name": "amounts", "aggregate": "distinct", "of": "amount", "window": "3d"},
        {"name": "payments", "aggregate": "count", "window": "3d"},
    ]
    summed, exact = plans(stream, features)
    events = [
        replace(event, payload={**event.payload, "amount": event.seq % 2500 + 0.5})
        for event in many(random.Random(5), 5000)
    ]
    online.feed(stream, events)
    one = [Ask(AT, {"customer": "c1"})]
    [rough], [true] = online.fetch(summed, one), online.fetch(exact, one)
    stated = rough.views["hot@v1"]["approximate"]
    assert stated["events"] == rough.values["payments"] == true.values["payments"]
    assert stated["distinct_error"] == pytest.approx(0.063, abs=0.001)
    off = abs(rough.values["amounts"] / true.values["amounts"] - 1)
    assert off < 4 * stated["distinct_error"]
    assert "approximate" not in true.views["hot@v1"]


def test_an_old_hot_entity_expires(stream: Stream) -> None:
    summed, exact = plans(stream, ttl="1h")
    online.feed(stream, many(random.Random(1), 300))
    asks = [Ask(AT + 2 * HOUR, {"customer": "c1"}), Ask(AT + HOUR // 2, {"customer": "c1"})]
    found = online.fetch(summed, asks)
    assert_alike(found, online.fetch(exact, asks))
    assert [one.statuses["count_3"] for one in found] == ["EXPIRED", "PRESENT"]


def test_one_hot_entity_leaves_the_others_exact(stream: Stream) -> None:
    summed, _ = plans(stream)
    online.feed(stream, many(random.Random(1), 300))
    online.feed(stream, many(random.Random(2), 9, customer="c2", first=301))
    hot, cool, nobody = online.fetch(
        summed, [Ask(AT, {"customer": customer}) for customer in ("c1", "c2", "c3")]
    )
    assert [is_summed(one) for one in (hot, cool, nobody)] == [True, False, False]


def test_sums_leave_with_the_events_they_sum_up(
    stream: Stream, redis_connection: redis.Redis
) -> None:
    summed, _ = plans(stream)
    online.feed(stream, many(random.Random(1), 3000))
    online.fetch(summed, [Ask(AT, {"customer": "c1"})])
    [tiles] = redis_connection.scan_iter("fs:*:t")
    assert redis_connection.hlen(tiles) > 10
    assert redis_connection.ttl(tiles) > 0
    newer = replace(many(random.Random(1), 1)[0], seq=9000, event_time=AT + 60 * 24 * HOUR)
    online.feed(stream, [newer])
    assert redis_connection.hlen(tiles) == 0


def test_a_flood_is_summed_up_in_steps(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    summed, _ = plans(stream, FEATURES[21:28])
    events = many(random.Random(1), 30_000)
    online.feed(stream, events)
    one = [Ask(AT, {"customer": "c1"})]
    monkeypatch.setattr("features.online.reading.PATIENCE", 0)
    with pytest.raises(NotReady, match="being summed up"):
        online.fetch(summed, one)
    monkeypatch.setattr("features.online.reading.PATIENCE", 10)
    amounts = [e.payload["amount"] for e in events if e.event_time > AT - 72 * HOUR]
    [found] = online.fetch(summed, one)
    assert found.values["sum_3"] == sum(amounts)
    assert found.views["hot@v1"]["approximate"]["events"] == len(amounts)


def test_the_api_says_that_it_summed_up(client: APIClient, stream: Stream, settings: Any) -> None:
    settings.FEATURES = settings.FEATURES.model_copy(update={"max_exact_events": 10})
    pinned: FeatureSet = make_set(make_view("spent", stream=stream))
    materialize()
    send(client, stream, *(raw_event(timestamp=ago(minutes=i)) for i in range(30)))
    body = ask(client, pinned, entities={"customer": "c1"})
    assert body["approximate"] == {"spent@v1": {"events": 30, "distinct_error": 0}}
    assert body["features"]["payments_7d"]["value"] == 30
