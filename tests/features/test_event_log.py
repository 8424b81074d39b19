"""The log's files: complete at any moment, whatever dies on the way, and never double."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from aegisml.base.auth import roles
from features import log, tasks
from features.log import files as log_files
from features.log import sealing
from features.models import EventSegment, HotEvent, Stream
from features.services import events, streams
from tests.factories import make_stream, make_user, make_view, raw_event

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400_000_000


@pytest.fixture(autouse=True)
def _folders(own_folders: Path) -> None:
    """No test sees another's files."""


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


def send(stream: Stream, count: int = 1, *, day: int = 0, **changes: Any) -> list[str]:
    """Ingest events of a day, 0 being the first of March; gives their ids."""
    at = MIDNIGHT + timedelta(days=day)
    rows = [
        raw_event(timestamp=(at + timedelta(seconds=i)).isoformat(), **changes)
        for i in range(count)
    ]
    actor = stream.created_by
    result = events.ingest(stream=stream, rows=rows, actor=actor, source="test")
    assert result.accepted == count
    return [row["transaction_id"] for row in rows]


def ids(paths: list[str]) -> list[str]:
    return sorted(event["_event_id"] for path in paths for event in rows_of(path))


def rows_of(path: str | Path) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as file:  # not as a dataset, which reads "day=" as a column
        return file.read().to_pylist()


def sealed_ids() -> list[str]:
    return ids([str(settings.FEATURE_ROOT / s.path) for s in EventSegment.objects.all()])


def files() -> list[Path]:
    return [path for path in settings.FEATURE_ROOT.rglob("*") if path.is_file()]


def test_sealing_moves_events_into_a_file_per_day(stream: Stream) -> None:
    sent = send(stream, 3, day=1) + send(stream, 2, day=0)
    assert sealing.seal(stream) == 5
    assert not HotEvent.objects.exists()
    assert [(str(s.day), s.rows) for s in EventSegment.objects.all()] == [
        ("2026-03-01", 2), ("2026-03-02", 3),
    ]  # fmt: skip
    first = EventSegment.objects.first()
    assert first.path == f"events/payments/day=2026-03-01/{first.pk}.parquet"
    assert first.bytes == (settings.FEATURE_ROOT / first.path).stat().st_size
    assert (first.min_event_time, first.max_event_time) == (
        MIDNIGHT, MIDNIGHT + timedelta(seconds=1),
    )  # fmt: skip
    assert sealed_ids() == sorted(sent)


def test_a_file_is_in_the_order_of_event_time_and_has_a_column_per_field(stream: Stream) -> None:
    for second in (30, 10, 20):
        at = MIDNIGHT + timedelta(seconds=second)
        rows = [raw_event(timestamp=at.isoformat(), is_fraud=True)]
        events.ingest(stream=stream, rows=rows, actor=stream.created_by, source="test")
    sealing.seal(stream)
    table = rows_of(settings.FEATURE_ROOT / EventSegment.objects.get().path)
    assert [event["timestamp"].second for event in table] == [10, 20, 30]
    assert [event["_seq"] for event in table] != sorted(event["_seq"] for event in table)
    assert list(table[0]) == [
        "_event_id", "_event_time", "_known_time", "_seq",
        *(field.name for field in stream.schema.fields),
    ]  # fmt: skip
    assert (table[0]["amount"], table[0]["is_fraud"]) == (42.5, True)


@pytest.mark.parametrize("amount", [1e300, 5e-324, 0.1, 1e15 + 0.3, 123456789012345678])
def test_numbers_come_out_of_the_log_as_they_went_in(stream: Stream, amount: float) -> None:
    send(stream, amount=amount)
    sealing.seal(stream)
    table = rows_of(settings.FEATURE_ROOT / EventSegment.objects.get().path)
    assert table[0]["amount"] == float(amount)


def test_times_before_1970_lie_in_their_days(stream: Stream) -> None:
    at = datetime(1969, 12, 31, tzinfo=UTC)
    for moment in (at, at - timedelta(microseconds=1), at + timedelta(days=1, microseconds=-1)):
        rows = [raw_event(timestamp=moment.isoformat())]
        events.ingest(stream=stream, rows=rows, actor=stream.created_by, source="test")
    sealing.seal(stream)
    assert [(str(s.day), s.rows) for s in EventSegment.objects.all()] == [
        ("1969-12-30", 1), ("1969-12-31", 2),
    ]  # fmt: skip


def test_a_snapshot_has_all_events_of_its_range(stream: Stream) -> None:
    by_day = {day: send(stream, 2, day=day) for day in range(4)}
    assert len(ids(sealing.snapshot(stream))) == 8
    start = int(MIDNIGHT.timestamp()) * 1_000_000
    found = ids(sealing.snapshot(stream, since=start + DAY, until=start + 3 * DAY))
    assert found == sorted(by_day[1] + by_day[2])
    assert ids(sealing.snapshot(stream, since=start + 10 * DAY)) == []


def test_events_that_wait_for_the_online_store_are_in_snapshots_and_stay_in_the_table(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_view(stream=stream)
    before = send(stream, 2)
    with monkeypatch.context() as away:
        away.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
        waiting = send(stream, 3, day=0) + send(stream, 1, day=1)
        tasks.feed_waiting()
    assert HotEvent.objects.filter(is_online=False).count() == 4
    for _ in range(2):
        assert ids(sealing.snapshot(stream)) == sorted(before + waiting)
    assert sealed_ids() == sorted(before)
    tasks.feed_waiting()
    assert ids(sealing.snapshot(stream)) == sealed_ids() == sorted(before + waiting)


def test_a_sealer_that_dies_before_it_commits_loses_and_doubles_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = send(stream, 4)
    with monkeypatch.context() as dying:
        dying.setattr(sealing, "_delete_hot", lambda seqs: fail())
        with pytest.raises(DatabaseError):
            sealing.seal(stream)
    assert HotEvent.objects.count() == 4
    assert not EventSegment.objects.exists()
    assert len(files()) == 1, "the file was renamed before"
    assert ids(sealing.snapshot(stream)) == sealed_ids() == sorted(sent)
    assert log_files.clear_leftovers() == 0, "it may be another's that is about to commit"
    assert log_files.clear_leftovers(older_than=-1) == 1
    assert ids(sealing.snapshot(stream)) == sorted(sent)


def fail() -> int:
    raise DatabaseError("the connection was lost")


def test_a_full_disk_leaves_no_half_file(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = send(stream, 2)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda handle: full_disk())
        tasks.seal_streams()
    assert files() == []
    assert ids(sealing.snapshot(stream)) == sorted(sent)


def full_disk() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.django_db(transaction=True)
def test_sealers_at_the_same_time_seal_each_event_once() -> None:
    stream = make_stream("payments")
    sent = send(stream, 3000)
    barrier = threading.Barrier(4)

    def seal(number: int) -> None:
        barrier.wait()
        try:
            while HotEvent.objects.exists():
                sealing.seal(stream, limit=500 + number)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(seal, range(4)))
    assert sealed_ids() == sorted(sent)
    assert sum(EventSegment.objects.values_list("rows", flat=True)) == 3000
    assert len(files()) == EventSegment.objects.count()


@pytest.mark.django_db(transaction=True)
def test_snapshots_while_events_arrive_and_are_sealed_are_never_short() -> None:
    stream = make_stream("payments")
    told: list[str] = []
    stop = threading.Event()

    def arrive() -> None:
        try:
            while not stop.is_set():
                told.extend(send(stream, 20))
        finally:
            connection.close()

    def keep_house() -> None:
        try:
            while not stop.is_set():
                tasks.seal_streams()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for work in (arrive, arrive, keep_house)]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            expected = set(told)
            found = ids(sealing.snapshot(stream))
            assert len(found) == len(set(found))
            assert expected <= set(found)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(told) > 100


def test_small_files_of_a_day_are_merged_and_old_ones_stay_for_their_readers(
    stream: Stream,
) -> None:
    sent = []
    for _ in range(9):
        sent += send(stream, 2)
        sealing.seal(stream)
    other = send(stream, 1, day=1)
    reader = sealing.snapshot(stream)
    tasks.seal_streams()  # nothing waits, so nothing is done
    sent += send(stream, 1)
    tasks.seal_streams()
    assert [(str(s.day), s.rows) for s in EventSegment.objects.all()] == [
        ("2026-03-01", 19), ("2026-03-02", 1),
    ]  # fmt: skip
    assert sealed_ids() == ids(sealing.snapshot(stream)) == sorted(sent + other)
    for path in files():
        os.utime(path, (0, 0))
    old = EventSegment.objects.get(day="2026-03-02")
    tasks.clear_event_leftovers()
    assert {str(f.relative_to(settings.FEATURE_ROOT)) for f in files()} == {
        old.path, EventSegment.objects.get(day="2026-03-01").path,
    }  # fmt: skip
    assert not all(Path(path).exists() for path in reader)


def test_merged_files_stay_although_they_were_written_long_ago(stream: Stream) -> None:
    for _ in range(9):
        send(stream, 1)
        sealing.seal(stream)
    for path in files():
        os.utime(path, (0, 0))
    reader = sealing.snapshot(stream)
    assert sealing.compact(stream) == 9
    assert log_files.clear_leftovers() == 0
    assert len(ids(reader)) == 9


def test_a_merge_that_dies_before_it_commits_changes_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(9):
        send(stream, 1)
        sealing.seal(stream)
    before = ids(sealing.snapshot(stream))
    with monkeypatch.context() as dying:
        dying.setattr(EventSegment.objects, "bulk_create", lambda rows: fail())
        with pytest.raises(DatabaseError):
            sealing.compact(stream)
    assert ids(sealing.snapshot(stream)) == sealed_ids() == before


def test_a_big_file_is_not_written_again_for_a_few_events(stream: Stream) -> None:
    send(stream, 100)
    sealing.seal(stream)
    big = EventSegment.objects.get().path
    for _ in range(9):
        send(stream, 1)
        sealing.seal(stream)
    sealing.compact(stream)
    assert sorted(EventSegment.objects.values_list("rows", flat=True)) == [9, 100]
    assert EventSegment.objects.filter(path=big).exists()


def test_files_of_an_older_schema_are_merged_with_newer_ones(stream: Stream) -> None:
    for _ in range(8):
        send(stream, 1)
        sealing.seal(stream)
    fields = [{"name": "color", "type": "text"}, *stream.definition["fields"]]
    changed = streams.change_stream(
        stream=stream,
        actor=make_user(roles.OPERATOR),
        definition={**stream.definition, "fields": fields},
    )
    send(changed, 1, color="red")
    sealing.seal(changed)
    sealing.compact(changed)
    table = rows_of(settings.FEATURE_ROOT / EventSegment.objects.get().path)
    assert sorted(event["color"] or "" for event in table) == [""] * 8 + ["red"]


def test_feeding_goes_on_behind_a_crash(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(log, "mark_online", lambda events: fail())
        with pytest.raises(DatabaseError):
            send(stream, 3)
    assert HotEvent.objects.filter(is_online=False).count() == 3
    tasks.feed_waiting()
    assert not HotEvent.objects.filter(is_online=False).exists()
