"""Features as of past moments, from the log: what was known then, and nothing later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from features import offline
from features.choices import Disposition, LabelSource
from features.models import FeatureSet, Label, Stream
from features.services import events
from tests.factories import make_set, make_stream, make_view, raw_event

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
# statistics of the reference: (card, event time, created, value), then (card, asked)
STORED = (
    ("c1", "10:00", "10:01", 1.0), ("c1", "11:00", "11:01", 2.0), ("c1", "11:00", "33:00", 2.5),
    ("c1", "12:00", "15:00", 3.0), ("c2", "09:00", "09:00", 9.0),
)  # fmt: skip
ASKED = (
    ("c1", "09:59"), ("c1", "11:00"), ("c1", "12:30"), ("c1", "14:00"), ("c1", "34:00"),
    ("c2", "11:00"), ("c2", "11:00:01"),
)  # fmt: skip


def clock(text: str) -> datetime:
    """Hours may be more than 24: the next day."""
    hours, minutes, *seconds = map(int, text.split(":"))
    return START + timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))


def ingest(stream: Stream, *rows: dict[str, Any], history: bool = True) -> None:
    done = events.ingest(
        stream=stream, rows=rows, actor=stream.created_by, source="test", history=history
    )
    assert done.accepted == len(rows), done


def value_stream() -> Stream:
    stream = make_stream(
        known_time="arrived",
        fields=[
            {"name": "transaction_id", "type": "text"},
            {"name": "timestamp", "type": "time"},
            {"name": "arrived", "type": "time"},
            {"name": "customer_id", "type": "text"},
            {"name": "value", "type": "number"},
        ],
        entities={"customer": "customer_id"},
        label=None,
    )
    ingest(
        stream,
        *(
            {"transaction_id": str(i), "customer_id": card, "value": value,
             "timestamp": clock(at).isoformat(), "arrived": clock(known).isoformat()}
            for i, (card, at, known, value) in enumerate(STORED)
        ),
    )  # fmt: skip
    return stream


@pytest.mark.parametrize(
    ("window", "as_known", "wanted"),
    [
        ("2h", False, [None, 2.5, 3, 3, None, 9, None]),
        ("2h", True, [None, 1, 2, None, None, 9, None]),
        ("365d", True, [None, 1, 2, 2, 3, 9, 9]),
    ],
)
def test_the_golden_case(
    own_folders: Path, window: str, as_known: bool, wanted: list[float | None]
) -> None:
    """With a limit of two hours the newest value counts to the second when it is exactly that
    old; our windows are open below, so a microsecond is added, as the ttl of a view does."""
    stream = value_stream()
    last = {"name": "newest", "aggregate": "last", "of": "value", "window": "365d"}
    view = make_view(stream=stream, features=[last], ttl=window)
    asks = pa.table(
        {
            "at": pa.array([clock(at) for _, at in ASKED], pa.timestamp("us", tz="UTC")),
            "customer": [card for card, _ in ASKED],
        }
    )
    target = own_folders / "asked.parquet"
    offline.at_moments(make_set(view), asks=asks, target=target, as_known=as_known)
    assert pq.read_table(target)["newest"].to_pylist() == wanted


def risk_set(stream: Stream) -> FeatureSet:
    risk = {"name": "risk", "aggregate": "label_rate", "window": "5d", "lag": "1d"}
    count = {"name": "n", "aggregate": "count", "window": "5d"}
    return make_set(make_view(stream=stream, features=[risk, count]))


def built(feature_set: FeatureSet, folder: Path, **options: Any) -> list[dict[str, Any]]:
    target = folder / "training.parquet"
    offline.training_set(
        feature_set, since=START - DAY, until=START + 60 * DAY, target=target, **options
    )
    rows: list[dict[str, Any]] = pq.read_table(target).to_pylist()
    return rows


def payments(stream: Stream, days: int, **changes: Any) -> None:
    ingest(
        stream,
        *(
            raw_event(transaction_id=f"p{i}", timestamp=(START + i * DAY).isoformat(), **changes)
            for i in range(days)
        ),
    )


def test_a_training_set_has_a_row_per_event_with_features_and_label(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 3, is_fraud=True)
    rows = built(risk_set(stream), own_folders)
    assert [row["event_id"] for row in rows] == ["p0", "p1", "p2"]
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [row["risk"] for row in rows] == [None, 1, 1]
    assert [row["label"] for row in rows] == [1, 1, 1]


def test_a_late_label_counts_from_when_it_was_known(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 6)
    Label.objects.create(
        stream=stream,
        event_id="p0",
        source=LabelSource.CHARGEBACK,
        disposition=Disposition.CONFIRMED_RISK,
        known_time=START + 2.5 * DAY,
        recorded_by=stream.created_by,
    )
    rows = built(risk_set(stream), own_folders)
    assert [row["risk"] for row in rows] == [None, 0, 0, 1 / 3, 1 / 4, 1 / 5]
    assert [row["label"] for row in rows] == [1, 0, 0, 0, 0, 0]


def test_a_reversed_label_stops_to_count(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 6)
    said = {
        "stream": stream,
        "event_id": "p0",
        "source": LabelSource.ANALYST,
        "disposition": Disposition.CONFIRMED_RISK,
        "recorded_by": stream.created_by,
    }
    first = Label.objects.create(known_time=START + 1.5 * DAY, **said)
    Label.objects.create(known_time=START + 3.5 * DAY, reverses=first, **said)
    rows = built(risk_set(stream), own_folders)
    assert [row["risk"] for row in rows] == [None, 0, 1 / 2, 1 / 3, 0, 0]
    assert rows[0]["label"] == 0


def test_what_says_no_fraud_stands_against_the_events_own_label(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 3, is_fraud=True)
    Label.objects.create(
        stream=stream,
        event_id="p0",
        source=LabelSource.ANALYST,
        disposition=Disposition.FALSE_POSITIVE,
        known_time=START + 1.5 * DAY,
        recorded_by=stream.created_by,
    )
    rows = built(risk_set(stream), own_folders)
    assert [row["risk"] for row in rows] == [None, 1, 1 / 2]
    assert [row["label"] for row in rows] == [0, 1, 1]


def test_young_events_without_a_label_are_left_out_and_counted(own_folders: Path) -> None:
    stream = make_stream(label_delay_days=7)
    now = timezone.now()
    ingest(
        stream,
        *(
            raw_event(transaction_id=f"y{age}", timestamp=(now - age * DAY).isoformat())
            for age in (20, 8, 6, 1)
        ),
        raw_event(transaction_id="told", timestamp=(now - 2 * DAY).isoformat(), is_fraud=True),
    )
    target = own_folders / "training.parquet"
    done = offline.training_set(
        risk_set(stream), since=now - 30 * DAY, until=now + DAY, target=target
    )
    assert pq.read_table(target)["event_id"].to_pylist() == ["y20", "y8", "told"]
    assert "2 events without a label are younger than 7 days" in done.notes[0]


def test_history_loaded_as_news_is_noted(own_folders: Path) -> None:
    stream = make_stream()
    past = [
        raw_event(timestamp=(START + i * DAY).isoformat(), customer_id="c1", is_fraud=False)
        for i in range(5)
    ]
    ingest(stream, *past, history=False)
    target = own_folders / "training.parquet"
    done = offline.training_set(risk_set(stream), since=START, until=START + 9 * DAY, target=target)
    assert "--history" in done.notes[0]


def test_no_events_give_an_empty_file(own_folders: Path) -> None:
    assert built(risk_set(make_stream()), own_folders) == []


def test_a_backfill_equals_the_training_set(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 6, is_fraud=False)
    feature_set = risk_set(stream)
    version = feature_set.members.get().version
    table = offline.backfill(version, since=START, until=START + 60 * DAY)
    rows = built(feature_set, own_folders)
    assert table.sort_by("event_time").select(["event_id", "risk", "n"]).to_pylist() == [
        {name: row[name] for name in ("event_id", "risk", "n")} for row in rows
    ]
    target = own_folders / "backfill.parquet"
    count = offline.backfill_to(version, since=START, until=START + 60 * DAY, target=target)
    assert (count, pq.read_table(target).num_rows) == (6, 6)


def test_a_served_event_is_computed_again_as_it_was_known(own_folders: Path) -> None:
    stream = make_stream()
    payments(stream, 4)
    at = int((START + 2 * DAY).timestamp()) * 1_000_000
    asks = [
        offline.Again("p2", {"amount": 42.5}, {"customer": "c1"}, at, at),
        offline.Again("new", {"amount": 42.5}, {"customer": "c1"}, at, at),
        offline.Again("new2", {"amount": 42.5}, {"customer": "nobody"}, at, at),
    ]
    again = offline.served_again(risk_set(stream), asks)
    assert [row["n"] for row in again] == [3, 4, 1]
