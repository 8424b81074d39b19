"""The command that writes a training set and tells what is in it."""

from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from features.choices import Disposition
from features.models import FeatureSet, Stream
from tests.factories import make_set, make_stream, make_view
from tests.features import history

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def stream() -> Stream:
    found = make_stream("payments")
    history.load(found, history.payments(80))
    return found


@pytest.fixture
def pinned(stream: Stream) -> FeatureSet:
    lagged = {"name": "mean_old", "aggregate": "mean", "of": "amount", "window": "1d", "lag": "7d"}
    return make_set(
        make_view("spent", stream=stream, features=[*history.FEATURES, lagged]), name="demo"
    )


def build(target: Path, *options: str, since: str = history.iso(0), until: str = history.iso(10),
          name: str = "demo@v1") -> str:  # fmt: skip
    out = StringIO()
    call_command(
        "build_training_set", name, "--from", since, "--to", until, "--output", str(target),
        *options, stdout=out,
    )  # fmt: skip
    return out.getvalue()


def test_a_row_per_event_with_features_and_label(pinned: FeatureSet, tmp_path: Path) -> None:
    build(tmp_path / "set.parquet")
    table = pq.read_table(tmp_path / "set.parquet")
    assert table.column_names == [
        "event_id", "event_time", "payments_7d", "spent_7d", "shop", "size", "mean_old", "label",
    ]  # fmt: skip
    rows = history.payments(80)
    assert table["event_id"].to_pylist() == [row["transaction_id"] for row in rows]
    assert table["label"].to_pylist() == [int(row["is_fraud"]) for row in rows]
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["payments_7d"], first["spent_7d"]) == (1, rows[0]["amount"])


def test_the_summary_tells_rows_frauds_nulls_and_progress(
    pinned: FeatureSet, tmp_path: Path
) -> None:
    told = build(tmp_path / "set.parquet")
    table = pq.read_table(tmp_path / "set.parquet")
    words = told.split()
    assert words[words.index("rows") + 1] == "80"
    assert words[words.index("frauds") + 1] == str(sum(table["label"].to_pylist()))
    share = table["mean_old"].null_count / 80
    assert words[words.index("mean_old") + 1] == f"{share:.2%}"
    assert words[words.index("payments_7d") + 1] == "0.00%"
    assert "100%" in words
    assert share > 0.5


def test_only_the_events_of_the_stretch_are_in(pinned: FeatureSet, tmp_path: Path) -> None:
    build(tmp_path / "set.parquet", since=history.iso(2), until=history.iso(3))
    table = pq.read_table(tmp_path / "set.parquet")
    assert table["event_id"].to_pylist() == [f"p{i}" for i in range(16, 24)]
    assert min(table["payments_7d"].to_pylist()) > 1  # they see what came before the stretch


def test_late_knowledge_is_seen_only_when_asked_for(tmp_path: Path) -> None:
    late = make_stream("late")
    history.load(late, history.payments(20), history=False)  # all known now
    make_set(make_view("late_view", stream=late, features=history.FEATURES), name="late")
    told = build(tmp_path / "known.parquet", name="late@v1")
    build(tmp_path / "happened.parquet", "--event-time-only", name="late@v1")

    def counts(name: str) -> list[float]:
        return pq.read_table(tmp_path / f"{name}.parquet")["payments_7d"].to_pylist()

    assert "was history loaded without --history?" in told
    assert sum(counts("happened")) > 20
    assert sum(counts("known")) <= sum(counts("happened"))


def test_labels_are_those_known_at_the_time_asked_for(
    pinned: FeatureSet, stream: Stream, tmp_path: Path
) -> None:
    genuine = next(row for row in history.payments(80) if not row["is_fraud"])
    say(stream, genuine["transaction_id"])
    build(tmp_path / "now.parquet")
    build(tmp_path / "then.parquet", "--mature-at", history.iso(11))

    def label(name: str) -> int:
        table = pq.read_table(tmp_path / f"{name}.parquet")
        at = table["event_id"].to_pylist().index(genuine["transaction_id"])
        return int(table["label"][at].as_py())

    assert (label("then"), label("now")) == (0, 1)


def say(stream: Stream, event_id: str) -> None:
    from features.models import Label  # noqa: PLC0415

    Label.objects.create(
        stream=stream, event_id=event_id, source="analyst",
        disposition=Disposition.CONFIRMED_RISK, recorded_by=stream.created_by,
        known_time=timezone.now(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "nobody@v1"}, "No feature set nobody@v1"),
        ({"name": "Demo v1"}, "FEATURE_SET 'Demo v1' is not of the form name@v2"),
        ({"since": "2026-01-01T00:00:00"}, "--from must say its time zone"),
        ({"until": "soon"}, "--to must be a time in ISO 8601"),
        ({"since": history.iso(10)}, "--to must be later than from"),
    ],
)
def test_a_wrong_argument_is_told(
    pinned: FeatureSet, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        build(tmp_path / "set.parquet", **given)
    assert not list(tmp_path.glob("*.parquet"))


def test_labels_of_the_future_can_not_be_asked_for(pinned: FeatureSet, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--mature-at lies in the future"):
        build(tmp_path / "set.parquet", "--mature-at", "2999-01-01T00:00:00Z")


@pytest.mark.parametrize("name", ["set.csv", "."])
def test_the_output_is_a_parquet_file(pinned: FeatureSet, tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="--output must be a file's name"):
        build(tmp_path / name)


def test_a_place_that_can_not_be_written_is_told(pinned: FeatureSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CommandError, match="is not built"):
        build(tmp_path / "file" / "set.parquet")
