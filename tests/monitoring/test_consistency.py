"""What was served is computed again from the log; where the two differ, it is found and named."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import ConsistencyRun, FeatureSet, Stream
from inference import jobs, services
from inference.models import Prediction
from models_app.models import ModelVersion
from monitoring.jobs import consistency
from monitoring.ml.sampling import place_of
from monitoring.tasks import check_consistency
from tests.admin import pages
from tests.factories import (
    PASSWORD,
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
    {"name": "kinds_7d", "aggregate": "distinct", "of": "merchant_category", "window": "7d"},
]
SEEN = [
    {"name": "seen_1d", "aggregate": "count", "window": "1d"},
    {"name": "risk_7d", "aggregate": "label_rate", "window": "7d", "lag": "1d", "default": 0},
]
Predict = Callable[..., list[str]]


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def cards(stream: Stream) -> FeatureSet:
    spent = make_view("spent", stream=stream, features=SPENT, ttl="30d")
    seen = make_view("seen", stream=stream, entity="terminal", features=SEEN)
    pinned = make_set(spent, seen, name="cards")
    materialize()
    return pinned


@pytest.fixture
def pinned(own_folders: Any, cards: FeatureSet) -> ModelVersion:
    """A deployed version that pins `cards`."""
    version = pinned_version(cards)
    services.deploy(model=version.model, actor=version.created_by)
    return version


@pytest.fixture
def service(db: None) -> APIClient:
    return api_client(roles.SERVICE)


@pytest.fixture
def predict(service: APIClient, pinned: ModelVersion) -> Predict:
    """Score raw events together, as a caller would, and ship the answers into the log."""

    def ask(*events: dict[str, Any]) -> list[str]:
        path = f"/api/v1/models/{pinned.model.name}/batch-predict"
        answer = service.post(path, {"events": list(events)})
        assert answer.status_code == 200, answer.text
        jobs.ship(settings.JOURNAL_ROOT)
        return [row["prediction_id"] for row in answer.json()["predictions"]]

    return ask


@pytest.fixture
def history(service: APIClient, stream: Stream, cards: FeatureSet) -> None:
    """Three customers at two terminals over ten days; some payments turned out to be fraud."""
    kinds = ["grocery", "fuel", None, "travel"]
    sent = [
        raw_event(
            timestamp=ago(hours=6 * i),
            customer_id=f"c{i % 3}",
            terminal_id=f"t{i % 2}",
            amount=1.1 * i,
            merchant_category=kinds[i % 4],
            is_fraud=i % 5 == 0,
        )
        for i in range(1, 41)
    ]
    send(service, stream, *sent)


def event(**changes: Any) -> dict[str, Any]:
    return raw_event(**{"timestamp": NOON.isoformat(), "customer_id": "c1", **changes})


def check(**options: Any) -> tuple[ConsistencyRun, str]:
    """The newest run of the command, and what it said."""
    out = StringIO()
    told = [f"--{name}={value}" for name, value in {"sample": 1.0, **options}.items()]
    call_command("check_consistency", *told, stdout=out)
    return ConsistencyRun.objects.latest("created_at"), out.getvalue()


def row_of(run: ConsistencyRun, feature: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in run.features if row["feature"] == feature)
    return found


def lose_events(connection: redis.Redis, key: str) -> None:
    """The online store forgets an entity's past."""
    for name in connection.scan_iter(f"fs:*{{{key}}}:*"):
        connection.delete(name)


def test_what_is_served_is_what_is_computed_again(
    predict: Predict, history: None, cards: FeatureSet
) -> None:
    predict(*[event(customer_id=f"c{i % 4}", terminal_id=f"t{i % 3}") for i in range(8)])
    run, said = check()
    assert (run.status, run.compared, run.disagreeing) == ("succeeded", 8, 0), run.features
    assert run.feature_set == cards
    assert {row["feature"] for row in run.features} == {
        *(f["name"] for f in SPENT), *(f["name"] for f in SEEN)
    }  # fmt: skip
    assert row_of(run, "mean_7d")["version"] == "spent@v1"
    assert all(row["smape"] < 1e-12 for row in run.features)
    assert "cards@v1: compared 8 predictions, 0 disagree." in said


def test_it_does_not_matter_whether_or_when_the_event_itself_was_sent(
    predict: Predict, history: None, service: APIClient, stream: Stream
) -> None:
    before, after, never = event(amount=9), event(amount=8, customer_id="c2"), event(amount=7)
    send(service, stream, before)
    predict(before, after, never, before)
    send(service, stream, after)
    run, _ = check()
    assert (run.compared, run.disagreeing) == (4, 0), run.features


def test_what_arrived_later_was_not_known_when_it_was_served(
    predict: Predict,
    history: None,
    service: APIClient,
    stream: Stream,
    django_capture_on_commit_callbacks: Any,
) -> None:
    late = raw_event(customer_id="c1", terminal_id="t1", timestamp=ago(hours=7), amount=500)
    risky = raw_event(customer_id="c1", terminal_id="t1", timestamp=ago(days=2), amount=5)
    send(service, stream, risky)
    predict(event(terminal_id="t1"))
    send(service, stream, late)
    label = {"source": "chargeback", "disposition": "confirmed_risk", "stream": stream.name}
    with django_capture_on_commit_callbacks(execute=True):
        told = service.post(
            "/api/v1/labels", {"labels": [{**label, "event_id": risky["transaction_id"]}]}
        )
    assert told.status_code == 200, told.text
    predict(event(terminal_id="t1"))
    run, _ = check()
    assert (run.compared, run.disagreeing) == (2, 0), run.features
    risks = {row.features["risk_7d"] for row in Prediction.objects.all()}
    assert len(risks) == 2


@pytest.mark.parametrize("case", ["arrived just before", "arrived meanwhile", "was there"])
def test_what_was_on_its_way_may_have_been_seen_or_not(
    predict: Predict, history: None, service: APIClient, stream: Stream, case: str
) -> None:
    predict(event())  # without the event that is sent next
    asked = timezone.now()
    send(service, stream, event(timestamp=ago(hours=1)))
    answered = timezone.now() + timedelta(seconds=0 if case == "arrived just before" else 5)
    took = answered - asked if case == "arrived meanwhile" else timedelta()
    Prediction.objects.update(created_at=answered, latency_us=took // timedelta(microseconds=1))
    run, _ = check(until=(answered + timedelta(seconds=1)).isoformat())
    assert (run.compared, run.disagreeing) == (1, int(case == "was there"))


def test_a_store_that_lost_events_is_found_out(
    predict: Predict, history: None, redis_connection: redis.Redis
) -> None:
    [good] = predict(event(customer_id="c2"))
    lose_events(redis_connection, "c1")
    [bad] = predict(event(amount=2.0))
    run, said = check()
    assert (run.compared, run.disagreeing) == (2, 1)
    assert "compared 2 predictions, 1 disagree." in said
    wrong = row_of(run, "count_7d")
    assert (wrong["compared"], wrong["mismatch"]) == (2, 1)
    [example] = wrong["examples"]
    assert (example["prediction"], example["served"]) == (bad, 1)
    assert example["again"] > 5
    assert wrong["max_difference"] == example["again"] - 1
    assert run.features[0]["mismatch"] == 1
    assert run.features[-1]["mismatch"] == 0  # the worst first
    assert good not in str(run.features)


def test_values_that_are_missing_or_extra_are_told_apart(predict: Predict, history: None) -> None:
    predict(event(), event(customer_id="nobody", merchant_category=None))
    first, second = Prediction.objects.order_by("pk")
    with_value, without = sorted((first, second), key=lambda p: p.features["last_kind"] is None)
    for row, value in ((with_value, None), (without, "fuel")):
        features = {**row.features, "last_kind": value}
        Prediction.objects.filter(pk=row.pk).update(features=features)
    run, _ = check()
    wrong = row_of(run, "last_kind")
    assert (wrong["mismatch"], wrong["missing"], wrong["extra"]) == (0, 1, 1)
    assert run.disagreeing == 2


def test_estimates_that_said_so_are_not_compared(
    predict: Predict, service: APIClient, stream: Stream, settings: Any
) -> None:
    settings.FEATURES = settings.FEATURES.model_copy(update={"max_exact_events": 100})
    send(
        service,
        stream,
        *[
            raw_event(timestamp=ago(minutes=i), merchant_category=f"kind {i}", amount=i)
            for i in range(1, 600)
        ],
    )
    services_plan_is_fresh()
    predict(event(terminal_id="t9"), event(terminal_id="t9", customer_id="c2"))
    row = Prediction.objects.get(context__event__customer_id="c1")
    assert row.context["views"]["spent@v1"]["approximate"]["distinct_error"] > 0
    run, _ = check()
    assert (run.compared, run.disagreeing) == (2, 0), run.features
    assert row_of(run, "kinds_7d")["compared"] == 1
    assert row_of(run, "count_7d")["compared"] == 2


def services_plan_is_fresh() -> None:
    """A process that serves reads the setting when it loads the version."""
    from inference.fleet import fleet  # noqa: PLC0415

    fleet.clear()


def test_without_predictions_there_is_nothing_to_compare(
    pinned: ModelVersion, client: Client
) -> None:
    run, said = check()
    assert (run.status, run.compared, run.features) == ("succeeded", 0, [])
    assert "nothing to compare" in said
    client.login(username=make_user(roles.VIEWER).username, password=PASSWORD)
    assert "Nothing to compare" in client.get(pages.change(run)).text


def test_predictions_from_given_features_are_not_compared(
    predict: Predict, service: APIClient, pinned: ModelVersion
) -> None:
    features = {f["name"]: None for f in SPENT + SEEN}
    path = f"/api/v1/models/{pinned.model.name}/predict"
    assert service.post(path, {"features": features}).status_code == 200
    jobs.ship(settings.JOURNAL_ROOT)
    assert check()[0].compared == 0


def test_without_a_version_that_pins_a_set_there_is_no_run(db: None) -> None:
    out = StringIO()
    call_command("check_consistency", stdout=out)
    assert "No version that was deployed then pins a feature set." in out.getvalue()
    assert not ConsistencyRun.objects.exists()


def test_a_version_that_was_replaced_within_the_day_is_checked_too(
    predict: Predict, history: None, pinned: ModelVersion
) -> None:
    predict(event())
    services.undeploy(model=pinned.model, actor=pinned.created_by)
    assert check()[0].compared == 1
    tomorrow = timezone.now() + timedelta(days=2)
    assert consistency.check(since=tomorrow, until=tomorrow + timedelta(days=1)) == []


def test_only_the_window_is_looked_at(predict: Predict, history: None) -> None:
    start = timezone.now()
    predict(event())
    end = timezone.now()
    predict(event())
    run, _ = check(since=start.isoformat(), until=end.isoformat())
    assert (run.compared, run.since, run.until) == (1, start, end)


def test_a_sample_takes_all_of_a_customer_or_nothing(predict: Predict, history: None) -> None:
    customers = [f"customer {i}" for i in range(20)]
    predict(*[event(customer_id=name) for name in customers * 2])
    wanted = [name for name in customers if place_of(name) < 0.3]
    assert 0 < len(wanted) < 20
    assert check(sample=0.3)[0].compared == 2 * len(wanted)


def test_the_configured_share_is_the_default(
    predict: Predict, history: None, settings: Any
) -> None:
    settings.FEATURES = settings.FEATURES.model_copy(update={"consistency_sample": 0.0001})
    predict(event())
    check_consistency()
    assert ConsistencyRun.objects.get().compared == 0


def test_a_sample_is_never_larger_than_its_limit(
    predict: Predict, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consistency, "MOST", 3)
    predict(*[event(customer_id=f"customer {i}") for i in range(10)])
    assert check()[0].compared == 3


def test_keys_are_spread_evenly() -> None:
    places = [place_of(str(i)) for i in range(10_000)]
    assert all(0 <= place < 1 for place in places)
    assert sum(place < 0.1 for place in places) == pytest.approx(1000, abs=100)


def test_a_log_that_cannot_be_read_is_said_and_kept(
    predict: Predict, history: None, own_folders: Path
) -> None:
    predict(event())
    check()
    for file in (own_folders / "features").rglob("*.parquet"):
        file.write_bytes(b"broken")
    with pytest.raises(CommandError, match="Not every feature set"):
        check()
    run = ConsistencyRun.objects.latest("created_at")
    assert run.status == "failed"
    assert "can't be read" in run.error
    assert run.finished_at is not None


def test_a_run_whose_worker_vanished_is_not_running_for_ever(
    pinned: ModelVersion, cards: FeatureSet
) -> None:
    now = timezone.now()
    old = ConsistencyRun.objects.create(
        feature_set=cards, since=now, until=now, created_at=now - timedelta(hours=7)
    )
    check()
    old.refresh_from_db()
    assert (old.status, old.error) == ("failed", "Its worker ended before it was done.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "yesterday"], "must be a time in ISO 8601"),
        (["--since", "2026-03-01T12:00:00"], "must say its time zone"),
        (["--since", "2026-03-02T00:00Z", "--until", "2026-03-01T00:00Z"], "must be before"),
        (["--sample", "0"], "must be above 0"),
        (["--sample", "nan"], "must be above 0"),
        (["--sample", "1.5"], "must be above 0"),
    ],
)
def test_wrong_options_are_named(db: None, options: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("check_consistency", *options)


def test_runs_are_listed_over_rest(
    get: Callable[[str], Any], predict: Predict, history: None, redis_connection: redis.Redis
) -> None:
    lose_events(redis_connection, "c1")
    predict(event())
    run, _ = check()
    path = "/api/v1/features/consistency"
    [found] = get(path).json()["results"]
    assert (found["id"], found["feature_set"]) == (str(run.pk), "cards@v1")
    assert (found["status"], found["compared"], found["disagreeing"]) == ("succeeded", 1, 1)
    assert found["features"][0]["mismatch"] == 1
    assert get(f"{path}?feature_set=cards@v1").json()["results"] == [found]
    assert get(f"{path}?feature_set=other@v1").status_code == 404
    assert get(f"{path}?feature_set=!").status_code == 400


def test_the_page_of_a_run_names_the_worst_feature_first(
    client: Client, predict: Predict, history: None, redis_connection: redis.Redis
) -> None:
    lose_events(redis_connection, "c1")
    [prediction] = predict(event())
    run, _ = check()
    client.login(username=make_user(roles.VIEWER).username, password=PASSWORD)
    page = client.get(pages.change(run)).text
    assert "1 of 1 predictions disagree" in page
    assert prediction in page
    order = [page.index(f"<code>{row['feature']}</code>") for row in run.features]
    assert order == sorted(order)
