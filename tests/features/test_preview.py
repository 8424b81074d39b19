"""A definition on real rows before it is kept: bounded, and like what the store would answer."""

from datetime import UTC, datetime, timedelta

import pytest

from aegisml.base.auth import roles
from features import log
from features.choices import Disposition, LabelSource
from features.log import sealing
from features.models import FeatureView, Label
from features.services import events, newest
from tests import factories

URL = "/api/v1/feature-views/preview"
START = datetime(2026, 3, 1, tzinfo=UTC)
COUNT = {"name": "payments_7d", "aggregate": "count", "window": "7d"}
MEAN = {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders_of_each_test(own_folders):
    """Nothing that a test writes outlives it."""


@pytest.fixture
def client():
    return factories.api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def stream():
    factories.make_entity("customer")
    return factories.make_stream("payments")


def send(stream, *rows):
    """Log payments, one a day, known when they happened."""
    timed = [
        factories.raw_event(timestamp=(START + timedelta(days=i)).isoformat(), **row)
        for i, row in enumerate(rows)
    ]
    told = events.ingest(
        stream=stream, rows=timed, actor=stream.created_by, source="tests", history=True
    )
    assert told.accepted == len(rows), told
    return [row["transaction_id"] for row in timed]


def seal(stream):
    log.mark_online(log.waiting(stream, limit=10_000))
    assert sealing.seal(stream) > 0


def preview(client, *features, **changes):
    body = {"stream": "payments", "entity": "customer", "definition": {"features": list(features)}}
    answer = client.post(URL, {**body, **changes})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def column(told, name):
    return [row["values"][name] for row in told["rows"]]


def test_each_row_is_computed_over_what_was_known_before_it(client, stream):
    ids = send(stream, {"amount": 10}, {"amount": 20}, {"amount": 60}, {"customer_id": "c2"})

    told = preview(client, COUNT, MEAN)

    assert [row["event_id"] for row in told["rows"]] == ids[::-1]
    assert [row["key"] for row in told["rows"]] == ["c2", "c1", "c1", "c1"]
    assert column(told, "payments_7d") == [1, 3, 2, 1]
    assert column(told, "mean_7d") == [42.5, 30, 15, 10]
    assert told["rows"][0]["event_time"] == "2026-03-04T00:00:00Z"
    assert told["events_read"] == 4
    assert not FeatureView.objects.exists()


def test_sealed_events_count_like_waiting_ones(client, stream):
    send(stream, {"amount": 10}, {"amount": 20})
    before = preview(client, COUNT, MEAN)
    seal(stream)
    assert preview(client, COUNT, MEAN) == before

    events.ingest(
        stream=stream, rows=[factories.raw_event(timestamp="2026-03-03T00:00:00Z", amount=60)],
        actor=stream.created_by, source="tests", history=True,
    )  # fmt: skip

    assert column(preview(client, COUNT, MEAN), "mean_7d") == [30, 15, 10]


def test_a_preview_seals_nothing(client, stream):
    send(stream, {})

    preview(client, COUNT)

    assert not stream.segments.exists()


def test_twenty_rows_are_shown_and_older_events_only_counted(client, stream):
    send(stream, *({} for _ in range(30)))

    told = preview(client, COUNT)

    assert len(told["rows"]) == 20
    assert set(column(told, "payments_7d")) == {7}


def test_only_so_many_events_are_read(client, stream, monkeypatch):
    monkeypatch.setattr(newest, "SEALED", 5)
    send(stream, *({} for _ in range(30)))
    seal(stream)

    told = preview(client, {**COUNT, "window": "30d"})

    assert told["events_read"] < 10
    assert f"newest {told['events_read']} events" in told["message"]


def test_the_share_of_null_is_told_per_feature(client, stream):
    send(stream, {"merchant_category": None}, {}, {}, {})
    category = {"name": "category", "expression": "merchant_category"}

    told = preview(client, category, entity=None)

    assert column(told, "category") == ["grocery", "grocery", "grocery", None]
    assert told["null_shares"] == {"category": 0.25}
    assert told["rows"][0]["key"] is None


def test_labels_are_those_that_stand_now(client, stream):
    risk = {"name": "risk", "aggregate": "label_rate", "window": "7d", "lag": "1d", "default": 0}
    ids = send(stream, {"is_fraud": True}, {"is_fraud": False}, {}, {})
    assert column(preview(client, risk), "risk") == pytest.approx([1 / 3, 1 / 2, 1, 0])

    said = {"stream": stream, "source": LabelSource.ANALYST, "recorded_by": stream.created_by}
    Label.objects.create(event_id=ids[0], disposition=Disposition.FALSE_POSITIVE, **said)
    Label.objects.create(event_id=ids[2], disposition=Disposition.CONFIRMED_RISK, **said)

    assert column(preview(client, risk), "risk") == pytest.approx([1 / 3, 0, 0, 0])


def test_a_filter_leaves_events_out(client, stream):
    send(stream, {"amount": 10}, {"amount": 200}, {"amount": 20})
    definition = {"where": "amount < 100", "features": [COUNT]}

    assert column(preview(client, definition=definition), "payments_7d") == [2, 1, 1]


def test_an_empty_stream_says_so(client, stream):
    told = preview(client, COUNT)

    assert told["rows"] == []
    assert told["names"] == ["payments_7d"]
    assert told["message"] == "Stream payments has no events yet."


def test_what_is_wrong_is_named_by_its_place(client, stream):
    body = {"stream": "payments", "entity": "customer",
            "definition": {"features": [{**COUNT, "window": "0m"}]}}  # fmt: skip

    answer = client.post(URL, body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "definition.features.0.window"
