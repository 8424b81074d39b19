"""The online store answers as if it had looked through the whole log."""

import random
from typing import Any

import pytest
import redis
from django.conf import settings
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features import log as event_log
from features import online
from features.log import Logged, sealing
from features.log.events import microseconds
from features.ml import recent
from features.models import FeatureSet, HotEvent, Stream
from features.online import Ask, Plan
from features.tasks import feed_waiting
from tests.factories import api_client, make_set, make_stream, make_view, raw_event
from tests.features.online_door import NOON, ago, ask, materialize, send, values

pytestmark = pytest.mark.django_db

DAY = 86_400_000_000
SPENT = [
    {"name": "count_7d", "aggregate": "count", "window": "7d"},
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "count_1h", "aggregate": "count", "window": "1h"},
]


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream()


@pytest.fixture
def spent(stream: Stream) -> FeatureSet:
    """A set of `SPENT`, built over the empty log."""
    built = make_set(make_view("spent", stream=stream, features=SPENT))
    materialize()
    return built


def test_what_is_sent_counts_at_once(client: APIClient, stream: Stream, spent: FeatureSet) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1), amount=10))
    send(client, stream, raw_event(timestamp=ago(minutes=1), amount=5))
    send(client, stream, raw_event(timestamp=ago(minutes=1), amount=7, customer_id="c2"))
    assert values(client, spent) == {"count_7d": 2, "spent_7d": 15, "count_1h": 1}


def test_windows_are_exact_to_the_microsecond(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    send(client, stream, raw_event(timestamp=ago(hours=1)))
    assert values(client, spent)["count_1h"] == 0
    assert values(client, spent, at=ago(microseconds=1))["count_1h"] == 1


def test_later_events_are_not_seen_by_an_earlier_moment(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    send(client, stream, raw_event(timestamp=ago(hours=2)), raw_event(timestamp=ago(days=2)))
    assert values(client, spent, at=ago(hours=3))["count_7d"] == 1


def test_the_event_at_hand_counts_whether_it_was_sent_or_not(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    event = raw_event(timestamp=ago(), amount=3)
    before = values(client, spent, event=event)
    send(client, stream, event)
    assert before == values(client, spent, event=event)
    assert before == {"count_7d": 1, "spent_7d": 3, "count_1h": 1}


def test_an_event_that_is_fed_twice_counts_once(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1), amount=1e300))
    HotEvent.objects.update(is_online=False)  # as if the process had died before it noted it
    feed_waiting()
    assert values(client, spent)["count_7d"] == 1


def test_the_same_event_from_the_log_and_from_the_request_is_one(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    sent = [raw_event(timestamp=ago(days=i), amount=amount) for i, amount in
            enumerate([-0.0, 5, 5.0, 1e300, 0.1])]  # fmt: skip
    send(client, stream, *sent)
    sealing.seal(stream)
    materialize(all=True)
    assert values(client, spent)["count_7d"] == 5


def test_events_out_of_order_give_what_they_give_in_order(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    for days in (3, 1, 6, 2):
        send(client, stream, raw_event(timestamp=ago(days=days), amount=days))
    assert values(client, spent)["spent_7d"] == 12


def test_an_event_a_year_late_changes_nothing_and_is_not_kept(
    client: APIClient, stream: Stream, spent: FeatureSet, redis_connection: redis.Redis
) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1)))
    kept = [redis_connection.zcard(key) for key in redis_connection.scan_iter("fs:*:e")]
    send(client, stream, raw_event(timestamp=ago(days=366)))
    assert values(client, spent)["count_7d"] == 1
    assert kept == [redis_connection.zcard(key) for key in redis_connection.scan_iter("fs:*:e")]


def test_what_is_kept_expires_when_an_entity_falls_silent(
    client: APIClient, stream: Stream, spent: FeatureSet, redis_connection: redis.Redis
) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1)))
    reach = (7 + settings.FEATURES.late_days) * 86_400
    [key] = redis_connection.scan_iter("fs:*:e")
    assert reach - 60 <= redis_connection.ttl(key) <= reach


def test_a_filter_keeps_events_out(client: APIClient, stream: Stream) -> None:
    view = make_view(stream=stream, where="amount > 100")
    pinned = make_set(view)
    materialize()
    send(
        client, stream, raw_event(timestamp=ago(), amount=1), raw_event(timestamp=ago(), amount=101)
    )
    assert list(values(client, pinned).values()) == [1]


def test_an_entity_that_was_never_seen_is_told_apart_from_a_silent_one(
    client: APIClient, stream: Stream
) -> None:
    pinned = make_set(make_view(stream=stream, ttl="2d"))
    materialize()
    send(client, stream, raw_event(timestamp=ago(days=3)))
    send(client, stream, raw_event(timestamp=ago(days=1), customer_id="c2"))
    found = {
        customer: ask(client, pinned, entities={"customer": customer})["features"]["payments_7d"]
        for customer in ("c1", "c2", "c3")
    }
    assert {c: (f["value"], f["status"], f["age_seconds"]) for c, f in found.items()} == {
        "c1": (0, "EXPIRED", 3 * 86_400),
        "c2": (1, "PRESENT", 86_400),
        "c3": (0, "NOT_FOUND", None),
    }


def test_a_version_that_goes_live_is_fed_by_a_process_that_knew_another(
    client: APIClient, stream: Stream, spent: FeatureSet
) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1)))
    second = make_set(make_view("second", stream=stream))
    materialize()
    send(client, stream, raw_event(timestamp=ago(days=2)))
    assert values(client, second) == {"payments_7d": 2}


def test_scripts_that_redis_lost_are_brought_again(
    client: APIClient, stream: Stream, spent: FeatureSet, redis_connection: redis.Redis
) -> None:
    redis_connection.script_flush()
    send(client, stream, raw_event(timestamp=ago(days=1)))
    redis_connection.script_flush()
    assert values(client, spent)["count_7d"] == 1


def test_a_connection_that_redis_closed_is_opened_again(
    client: APIClient, stream: Stream, spent: FeatureSet, redis_connection: redis.Redis
) -> None:
    send(client, stream, raw_event(timestamp=ago(days=1)))
    redis_connection.client_kill_filter(_type="normal", skipme=True)
    assert values(client, spent)["count_7d"] == 1


def test_one_round_trip_serves_many_requests_and_views(
    client: APIClient, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = make_view("by_customer", stream=stream, features=SPENT)
    terminal = make_view("by_terminal", stream=stream, entity="terminal")
    plan = Plan.of(make_set(customer, terminal))
    materialize()
    send(client, stream, *(raw_event(timestamp=ago(days=i)) for i in range(5)))
    asks = [Ask(at=microseconds(NOON), keys={"customer": "c1", "terminal": "t1"})] * 3
    online.fetch(plan, asks)  # opens the connection
    sent = []
    really = redis.Connection.send_packed_command

    def counted(connection: Any, command: Any, *args: Any, **options: Any) -> None:
        sent.append(command)
        really(connection, command, *args, **options)

    monkeypatch.setattr(redis.Connection, "send_packed_command", counted)
    fetched = online.fetch(plan, asks)
    assert len(sent) == 1
    assert [one.values["payments_7d"] for one in fetched] == [5, 5, 5]


@pytest.mark.parametrize("seed", range(5))
def test_the_store_equals_a_look_through_all_events(
    client: APIClient, stream: Stream, seed: int
) -> None:
    """Random events in random order, some of them again; asked at random moments."""
    rng = random.Random(seed)
    functions = ["sum", "mean", "std", "min", "max", "last", "distinct"]
    features: list[dict[str, Any]] = [
        {"name": f"{function}_{window}", "aggregate": function, "of": "amount", "window": window}
        | {"lag": rng.choice(["0s", "1d"])}
        for function in functions
        for window in ("6h", "3d")
    ]
    features += [
        {"name": "risk", "aggregate": "label_rate", "window": "3d", "lag": "1d"},
        {"name": "kinds", "aggregate": "distinct", "of": "merchant_category", "window": "2d"},
        {"name": "big", "aggregate": "count", "window": "2d", "where": "amount > 50"},
        {"name": "steps", "sequence": ["amount", "hour(event_time)"], "length": 4, "window": "2d"},
        {"name": "share", "expression": "ratio(amount, mean_3d)"},
    ]
    version = make_view("all", stream=stream, features=features, where="amount != 13")
    plan = Plan.of(make_set(version))
    materialize()
    sent = [_random_event(rng) for _ in range(120)]
    for _ in range(6):
        send(client, stream, *rng.choices(sent, k=50))
    logged = {row.event_id: row for row in event_log.waiting(stream, limit=1000)}
    HotEvent.objects.update(is_online=False)
    logged = {row.event_id: row for row in event_log.waiting(stream, limit=1000)}
    asks = [_random_ask(rng, list(logged.values())) for _ in range(40)]
    for one, fetched in zip(asks, online.fetch(plan, asks), strict=True):
        assert fetched.values == _looked_up(version.compiled, one, logged.values())


def _random_event(rng: random.Random) -> dict[str, Any]:
    return raw_event(
        timestamp=ago(seconds=rng.randrange(5 * 86_400)),
        customer_id=rng.choice(["c1", "c2", "ü}{"]),
        amount=float(rng.randrange(100)),
        merchant_category=rng.choice(["fuel", "grocery", None]),
        is_fraud=rng.choice([True, False, None]),
    )


def _random_ask(rng: random.Random, logged: list[Logged]) -> Ask:
    if rng.random() < 0.5:
        event = rng.choice(logged)
        key = event.payload["customer_id"]
        return Ask(event.event_time, {"customer": key}, event.payload, event.event_id)
    at = microseconds(NOON) - rng.randrange(4 * DAY)
    return Ask(at, {"customer": rng.choice(["c1", "c2", "ü}{"])})


def _looked_up(view: Any, one: Ask, logged: Any) -> dict[str, Any]:
    own = [row for row in logged if row.payload["customer_id"] == one.keys["customer"]]
    events = [(row, recent.inputs(view, row.row())) for row in own]
    answer = recent.answer(
        view,
        at=one.at,
        events=[[row.event_time, row.seq, row.event_id, *kept] for row, kept in events if kept],
        positives={row.event_id for row in own if row.payload.get("is_fraud")},
        event=one.event,
        event_id=one.event_id,
    )
    return {name: value.value for name, value in answer.values.items()}
