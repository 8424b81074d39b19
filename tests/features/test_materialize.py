"""The online state is built from the log: whole, once, and again when Redis has lost it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.core.management import CommandError
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.choices import OnlineState, RunStatus
from features.jobs import materializing, runs
from features.log import files, sealing
from features.models import EventSegment, FeatureSet, FeatureViewVersion, MaterializeRun, Stream
from features.online import keys
from features.services import online as switching
from tests.factories import api_client, make_set, make_stream, make_view, raw_event
from tests.features.online_door import ONLINE, ago, materialize, send, values

pytestmark = pytest.mark.django_db
FEATURES = [
    {"name": "count_7d", "aggregate": "count", "window": "7d"},
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "risk_7d", "aggregate": "label_rate", "window": "7d"},
    {"name": "kinds", "aggregate": "distinct", "of": "merchant_category", "window": "3d"},
]


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream()


@pytest.fixture
def pinned(stream: Stream) -> FeatureSet:
    return make_set(make_view("spent", stream=stream, features=FEATURES))


def some_events(days: int = 6, a_day: int = 3) -> list[dict[str, Any]]:
    return [
        raw_event(timestamp=ago(days=day, hours=i), amount=10 * day + i, is_fraud=i == 1)
        for day in range(days)
        for i in range(a_day)
    ]


def state(connection: redis.Redis) -> dict[bytes, Any]:
    """All that is kept of entities."""
    found = [key for key in connection.scan_iter("fs:*:v:*") if connection.type(key) == b"zset"]
    return {key: connection.zrange(key, 0, -1, withscores=True) for key in sorted(found)}


def work() -> None:
    """What beat and a worker do."""
    for run_id in runs.due():
        materializing.run(run_id)


def expire_lease() -> None:
    MaterializeRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def when_first(do: Callable[[], Any]) -> materializing.Report:
    """A report that does something once, after the first day."""
    waiting = [do]

    def report(percent: int, text: str) -> None:
        if waiting:
            waiting.pop()()

    return report


def die() -> None:
    raise KeyboardInterrupt


def test_a_version_is_built_from_events_that_came_before_it(
    client: APIClient, stream: Stream
) -> None:
    send(client, stream, *some_events())
    pinned = make_set(make_view("late", stream=stream, features=FEATURES))
    out = materialize("late")
    assert values(client, pinned) == {"count_7d": 18, "spent_7d": 468, "risk_7d": 1 / 3, "kinds": 1}
    assert "late@v1 100% complete with 18 events" in out
    assert FeatureViewVersion.objects.get().online == OnlineState.READY


def test_what_is_not_built_is_not_answered(client: APIClient, pinned: FeatureSet) -> None:
    answer = client.post(ONLINE, {"feature_set": str(pinned), "entities": {"customer": "c1"}})
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json()["detail"] == "The online state of spent@v1 is not built yet."


def test_building_again_changes_nothing(
    client: APIClient, stream: Stream, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    materialize()
    send(client, stream, *some_events())
    fed = state(redis_connection)
    materialize("spent@v1")
    assert state(redis_connection) == fed
    assert len(fed) > 2


def test_redis_that_is_emptied_while_events_arrive_ends_like_a_rebuilt_one(
    client: APIClient, stream: Stream, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    materialize()
    sent = some_events()
    send(client, stream, *sent[:8])
    redis_connection.flushdb()
    send(client, stream, *sent[8:10])
    refused = client.post(ONLINE, {"feature_set": str(pinned), "entities": {"customer": "c1"}})
    assert refused.status_code == 503
    [run_id] = runs.due()
    materializing.run(run_id, when_first(lambda: send(client, stream, *sent[10:])))
    after = state(redis_connection)
    redis_connection.flushdb()
    materialize()
    assert state(redis_connection) == after
    assert values(client, pinned)["count_7d"] == 18


def test_redis_that_is_emptied_during_a_build_makes_it_begin_again(
    client: APIClient, stream: Stream, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    send(client, stream, *some_events())
    run = MaterializeRun.objects.get()
    materializing.run(str(run.pk), when_first(redis_connection.flushdb))
    run.refresh_from_db()
    assert (run.status, run.cursor) == (RunStatus.QUEUED, "")
    answer = client.post(ONLINE, {"feature_set": str(pinned), "entities": {"customer": "c1"}})
    assert answer.status_code == 503
    work()
    assert values(client, pinned)["count_7d"] == 18


def test_a_killed_build_goes_on_where_it_was(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    send(client, stream, *some_events())
    run = MaterializeRun.objects.get()
    with pytest.raises(KeyboardInterrupt):
        materializing.run(str(run.pk), when_first(die))
    late = raw_event(timestamp=ago(days=5, hours=2), amount=1)  # of the day that is done
    send(client, stream, late)
    expire_lease()
    days: list[str] = []
    materializing.run(runs.due()[0], lambda percent, text: days.append(text[:10]))
    run.refresh_from_db()
    assert days == ["2026-02-25", "2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01",
                    "complete w"]  # fmt: skip
    assert (run.status, run.progress) == (RunStatus.SUCCEEDED, 100)
    assert values(client, pinned)["count_7d"] == 19


def test_a_killed_build_begins_again_when_redis_was_emptied_too(
    client: APIClient, stream: Stream, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    send(client, stream, *some_events())
    with pytest.raises(KeyboardInterrupt):
        materializing.run(str(MaterializeRun.objects.get().pk), when_first(die))
    redis_connection.flushdb()
    expire_lease()
    work()
    assert values(client, pinned)["count_7d"] == 18


def test_two_workers_do_not_build_the_same(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    send(client, stream, *some_events())
    run = MaterializeRun.objects.get()
    second: list[str] = []
    materializing.run(
        str(run.pk),
        when_first(lambda: materializing.run(str(run.pk), lambda _, text: second.append(text))),
    )
    assert second == []
    assert MaterializeRun.objects.get().status == RunStatus.SUCCEEDED


def test_a_worker_that_was_given_up_stops(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    send(client, stream, *some_events())
    run = MaterializeRun.objects.get()
    days: list[str] = []

    def slow(percent: int, text: str) -> None:
        days.append(text)
        expire_lease()
        work()

    materializing.run(str(run.pk), slow)
    assert len(days) == 1
    assert values(client, pinned)["count_7d"] == 18


def test_a_redis_that_was_restarted_is_built_anew_and_answers_meanwhile(
    client: APIClient, stream: Stream, pinned: FeatureSet, redis_connection: redis.Redis
) -> None:
    materialize()
    send(client, stream, *some_events())
    version = FeatureViewVersion.objects.get()
    ready = keys.ready(keys.version_prefix(version.pk))
    redis_connection.set(ready, "of a process that is no more")
    lost = next(redis_connection.scan_iter("fs:*:e"))
    redis_connection.zremrangebyrank(lost, -1, -1)  # the newest write, which wasn't on disk
    assert values(client, pinned)["count_7d"] == 17
    [run_id] = runs.due()
    materializing.run(run_id, when_first(lambda: values(client, pinned)))
    assert values(client, pinned)["count_7d"] == 18
    assert runs.due() == []


def test_nothing_is_due_when_all_is_there(client: APIClient, pinned: FeatureSet) -> None:
    assert len(runs.due()) == 1
    work()
    assert runs.due() == []
    assert materialize() == "Nothing to build: Redis has the state of every live version.\n"


def test_a_build_that_fails_says_why_and_is_tried_again_after_a_minute(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    materialize()
    send(client, stream, *some_events())
    sealing.seal(stream)
    segment = EventSegment.objects.order_by("path").first()
    assert segment is not None
    path = files.absolute(segment.path)
    whole = path.read_bytes()
    path.write_bytes(b"no Parquet")
    with pytest.raises(CommandError, match="spent@v1 is not built: The event log can't be read"):
        materialize("spent")
    path.write_bytes(whole)
    FeatureViewVersion.objects.update(online=OnlineState.BUILDING)
    assert runs.due() == []
    long_ago = timezone.now() - timedelta(seconds=61)
    MaterializeRun.objects.filter(status=RunStatus.FAILED).update(finished_at=long_ago)
    work()
    assert values(client, pinned)["count_7d"] == 18


def test_a_version_that_is_switched_off_is_forgotten(
    client: APIClient,
    stream: Stream,
    redis_connection: redis.Redis,
    django_capture_on_commit_callbacks: Any,
) -> None:
    version = make_view(stream=stream)
    materialize()
    send(client, stream, *some_events())
    switching.stop_version(version)
    runs.clear_stopped(str(version.pk), stream.pk)
    assert state(redis_connection) == {}
    send(client, stream, raw_event(timestamp=ago()))
    assert state(redis_connection) == {}


def test_a_version_that_is_switched_off_during_its_build_is_forgotten(
    client: APIClient, stream: Stream, redis_connection: redis.Redis
) -> None:
    send(client, stream, *some_events())
    version = make_view(stream=stream)
    run = MaterializeRun.objects.get()
    materializing.run(str(run.pk), when_first(lambda: switching.stop_version(version)))
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.FAILED, "The version was switched off.")
    assert state(redis_connection) == {}


def test_only_what_is_in_reach_is_read(client: APIClient, stream: Stream) -> None:
    old = [raw_event(timestamp=ago(days=day)) for day in (15, 100, 400)]
    send(client, stream, *some_events(), *old)
    make_view(stream=stream, features=FEATURES)
    materialize()
    assert MaterializeRun.objects.get().events == 18


@pytest.mark.parametrize(
    ("names", "options", "complaint"),
    [
        (["nothing"], {}, "Feature view nothing is unknown or has no promoted version."),
        (["spent@v9"], {}, "No feature view version spent@v9."),
        (["Spent!"], {}, "is not of the form name@v2"),
        (["staged@v1"], {}, "staged@v1 is off: promote it, or pin it in a feature set."),
        (["spent"], {"all": True}, "Name views, or give --all."),
    ],
)
def test_the_command_says_what_it_cannot_build(
    stream: Stream, pinned: FeatureSet, names: list[str], options: Any, complaint: str
) -> None:
    make_view("staged", stream=stream, promote=False)
    with pytest.raises(CommandError, match=complaint):
        materialize(*names, **options)
