"""Each day's features are profiled: nulls, histogram, quantiles, freshness, per version."""

from collections.abc import Callable
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.jobs import profiling
from features.models import FeatureProfile, FeatureViewVersion, Stream
from features.tasks import profile_features
from tests.admin import pages
from tests.factories import (
    PASSWORD,
    api_client,
    make_stream,
    make_user,
    make_view,
    raw_event,
)
from tests.features.online_door import send

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 1)
SPENT = [
    {"name": "count_1d", "aggregate": "count", "window": "1d"},
    {"name": "mean_1d", "aggregate": "mean", "of": "amount", "window": "1d"},
    {"name": "kind", "expression": "merchant_category"},
    {"name": "is_high", "expression": "amount > 50"},
    {"name": "last_3", "sequence": ["amount"], "length": 3, "window": "1d"},
]


@pytest.fixture
def stream(own_folders: Any, db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def spent(stream: Stream) -> FeatureViewVersion:
    return make_view("spent", stream=stream, features=SPENT)


@pytest.fixture
def sender(db: None) -> APIClient:
    return api_client(roles.SERVICE)


def at(day: date, minute: int) -> str:
    return f"{day}T{minute // 60:02}:{minute % 60:02}:00Z"


def payments(day: date, amounts: list[float], **changes: Any) -> list[dict[str, Any]]:
    """One payment a minute, each of another customer."""
    return [
        raw_event(timestamp=at(day, i), amount=amount, customer_id=f"c{i}", **changes)
        for i, amount in enumerate(amounts)
    ]


def profiled(*arguments: str) -> str:
    out = StringIO()
    call_command("profile_features", *arguments, stdout=out)
    return out.getvalue()


def profile_of(feature: str, day: date = DAY) -> FeatureProfile:
    return FeatureProfile.objects.get(feature=feature, day=day)


def test_a_day_is_profiled_by_hand(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    send(sender, stream, *payments(DAY, [10, 20, 30, 100]))
    send(sender, stream, raw_event(timestamp=at(DAY, 90), merchant_category=None, amount=60,
                                   customer_id="c0"))  # fmt: skip
    send(sender, stream, *payments(DAY + timedelta(days=1), [7]))
    said = profiled("spent@v1", "--from", str(DAY))
    assert "spent@v1 2026-03-01: 5 features of 5 events" in said

    mean = profile_of("mean_1d")  # c0 had 10, and then 10 and 60
    assert (mean.rows, mean.nulls) == (5, 0)
    assert mean.histogram["edges"] == [15, 25, 32.5, 67.5]
    assert mean.histogram["counts"] == [1, 1, 1, 1, 1]
    assert mean.quantiles["p50"] == 30
    assert mean.newest_event_at is not None
    assert mean.newest_event_at.isoformat() == "2026-03-01T01:30:00+00:00"
    assert profile_of("count_1d").histogram["counts"] == [4, 1]

    kind = profile_of("kind")
    assert (kind.nulls, kind.histogram) == (1, {"counts": {"grocery": 4}, "other": 0})
    assert kind.newest_event_at is not None
    assert kind.newest_event_at.minute == 3  # of the last one that had a category

    assert profile_of("is_high").histogram["counts"] == [3, 2]
    assert profile_of("last_3").histogram["edges"] == [1.5]
    assert profile_of("last_3").histogram["counts"] == [4, 1]


def test_counts_of_days_can_be_added(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    for i in range(3):
        day = DAY + timedelta(days=i)
        send(sender, stream, *payments(day, [j / 10 + 100 * i for j in range(1000 + i)]))
    profiled("spent", "--from", str(DAY), "--to", str(DAY + timedelta(days=2)))
    days = list(FeatureProfile.objects.filter(feature="mean_1d").order_by("day"))
    assert [p.rows for p in days] == [1000, 1001, 1002]
    assert len({tuple(p.histogram["edges"]) for p in days}) == 1
    sums = [sum(counts) for counts in zip(*(p.histogram["counts"] for p in days), strict=True)]
    assert sum(sums) == 3003
    # cut from the newest day: the older ones lie below
    assert days[0].histogram["counts"][0] == 1000
    assert max(days[2].histogram["counts"]) < 100


def test_a_day_with_few_values_does_not_fix_the_edges(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    send(sender, stream, *payments(DAY, [1, 2]))
    profiled("spent", "--from", str(DAY))
    few = profile_of("mean_1d").histogram["edges"]
    better = DAY + timedelta(days=1)
    send(sender, stream, *payments(better, [j / 10 for j in range(1000)]))
    profiled("spent", "--from", str(better))
    many = profile_of("mean_1d", better).histogram["edges"]
    assert (len(few), len(many)) == (1, 20)
    profiled("spent", "--from", str(DAY))
    assert profile_of("mean_1d").histogram["edges"] == many


def test_a_constant_does_not_fix_the_edges(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    send(sender, stream, *payments(DAY, [5] * 1200))
    profiled("spent", "--from", str(DAY))
    assert profile_of("mean_1d").histogram["counts"] == [1200]
    later = DAY + timedelta(days=1)
    send(sender, stream, *payments(later, [5, 6, 7]))
    profiled("spent", "--from", str(later))
    assert profile_of("mean_1d", later).histogram["edges"] == [5.5, 6.5]


def test_a_day_that_is_profiled_again_is_replaced(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    send(sender, stream, *payments(DAY, [1, 2]))
    profiled("spent", "--from", str(DAY))
    send(sender, stream, raw_event(timestamp=at(DAY, 700), customer_id="late"))
    profiled("spent", "--from", str(DAY))
    assert profile_of("count_1d").rows == 3
    assert FeatureProfile.objects.count() == len(SPENT)


def test_a_day_without_events_says_so(spent: FeatureViewVersion) -> None:
    profiled("spent", "--from", str(DAY))
    empty = profile_of("mean_1d")
    assert (empty.rows, empty.nulls, empty.quantiles) == (0, 0, {})
    assert empty.newest_event_at is None
    assert profile_of("kind").histogram == {"counts": {}, "other": 0}


def test_each_night_live_versions_are_profiled_for_yesterday(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    make_view("staged", stream=stream, promote=False)
    own = [{"name": "amount", "expression": "amount"}]
    make_view("own", stream=stream, entity=None, features=own)
    yesterday = timezone.now().date() - timedelta(days=1)
    send(sender, stream, *payments(yesterday, [1, 2]))
    profile_features()
    found = FeatureProfile.objects.filter(day=yesterday, rows=2)
    assert {str(p.version) for p in found} == {"spent@v1", "own@v1"}
    assert FeatureProfile.objects.count() == len(SPENT) + 1


def test_without_a_live_version_the_command_says_so(db: None) -> None:
    assert "No version is live" in profiled()


def test_a_log_that_cannot_be_read_stops_no_other_version(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion, own_folders: Path
) -> None:
    other = make_stream("transfers")
    make_view("moved", stream=other, features=[SPENT[0]])
    yesterday = timezone.now().date() - timedelta(days=1)
    send(sender, stream, *payments(yesterday, [1]))
    profiled("spent", "--from", str(DAY))  # seals the log into files
    for file in (own_folders / "features").rglob("*.parquet"):
        file.write_bytes(b"broken")
    assert profiling.profile_yesterday() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "unknown or has no promoted version"),
        (["spent@v9"], "No feature view version"),
        (["Spent!"], "is not of the form"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "must not be after"),
        (["--from", "March"], "must be a day"),
    ],
)
def test_wrong_arguments_are_named(
    spent: FeatureViewVersion, arguments: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        profiled(*arguments)


# --- over REST ---


@pytest.fixture
def ask(db: None) -> Callable[..., Any]:
    client = api_client(roles.VIEWER)

    def read(version: str = "spent/versions/1", **query: str) -> Any:
        return client.get(f"/api/v1/feature-views/{version}/profiles", query)

    return read


def test_profiles_are_listed_newest_first_and_filtered(
    sender: APIClient, stream: Stream, spent: FeatureViewVersion, ask: Callable[..., Any]
) -> None:
    kinds = ["fuel", "grocery", "grocery"]
    sent = [raw_event(timestamp=at(DAY, i), merchant_category=kind, customer_id=f"c{i}")
            for i, kind in enumerate(kinds)]  # fmt: skip
    send(sender, stream, *sent)
    profiled("spent", "--from", "2026-02-27", "--to", "2026-03-02")
    everything = ask().json()["results"]
    assert len(everything) == 4 * len(SPENT)
    assert [p["day"] for p in everything] == sorted((p["day"] for p in everything), reverse=True)
    [kind] = ask(feature="kind", **{"from": "2026-03-01", "to": "2026-03-01"}).json()["results"]
    assert (kind["day"], kind["rows"], kind["nulls"]) == ("2026-03-01", 3, 0)
    assert list(kind["histogram"]["levels"].items()) == [("grocery", 2), ("fuel", 1)]
    [count] = ask(feature="count_1d", **{"from": "2026-03-01", "to": "2026-03-01"}).json()[
        "results"
    ]
    assert count["histogram"] == {"edges": [], "counts": [3]}
    assert len(ask(feature="kind", to="2026-02-28").json()["results"]) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [({"feature": "nope"}, "feature"), ({"from": "x"}, "from"), ({"to": "2026-13-01"}, "to")],
)
def test_a_wrong_question_is_named(
    spent: FeatureViewVersion, ask: Callable[..., Any], query: dict[str, str], field: str
) -> None:
    answer = ask(**query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_profiles_of_an_unknown_version_are_not_found(
    spent: FeatureViewVersion, ask: Callable[..., Any]
) -> None:
    assert ask("spent/versions/2").status_code == 404
    assert ask("nope/versions/1").status_code == 404


# --- in the admin ---


def test_pages_draw_values_and_nulls(
    client: Client, sender: APIClient, stream: Stream, spent: FeatureViewVersion
) -> None:
    send(sender, stream, *payments(DAY, [10, 20, 30]))
    send(sender, stream, *payments(DAY + timedelta(days=1), [10, 40], merchant_category=None))
    profiled("spent", "--from", str(DAY), "--to", str(DAY + timedelta(days=2)))
    client.login(username=make_user(roles.VIEWER).username, password=PASSWORD)

    page = client.get(pages.change(profile_of("kind", DAY + timedelta(days=1)))).text
    assert "2026-03-01: 0.0% of 3" in page
    assert "2026-03-02: 100.0% of 2" in page
    assert "grocery: 3" in page  # of both days together
    page = client.get(pages.change(profile_of("mean_1d"))).text
    assert "<dt>p50</dt>" in page
    assert page.index("<dt>p5</dt>") < page.index("<dt>p25</dt>")

    page = client.get(pages.change(spent)).text
    assert "Null, by day" in page
    assert "2026-03-03: no events" in page


def test_a_version_that_was_never_profiled_has_a_page_without_profiles(
    client: Client, spent: FeatureViewVersion
) -> None:
    client.login(username=make_user(roles.VIEWER).username, password=PASSWORD)
    page = client.get(pages.change(spent))
    assert page.status_code == 200
    assert "Null, by day" not in page.text
