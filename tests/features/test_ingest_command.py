"""Reading files of events: whatever happens on the way, each event is in the log once."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from features.choices import RunStatus
from features.log import sealing
from features.ml import batches
from features.models import EventKey, EventSegment, HotEvent, IngestFile, Stream
from features.services import files
from tests.factories import make_stream

pytestmark = pytest.mark.django_db
COLUMNS = ("transaction_id", "timestamp", "customer_id", "terminal_id", "amount", "is_fraud")


@pytest.fixture(autouse=True)
def _folders(own_folders: Path) -> None:
    """No test sees another's files."""


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


def row(number: int, **changes: Any) -> dict[str, Any]:
    day = datetime(2026, 1, 1 + number % 20, tzinfo=UTC)
    values = (f"tx-{number}", f"{day:%Y-%m-%d %H:%M:%S}", f"c{number % 50}", "t1", "9.50", "0")
    return dict(zip(COLUMNS, values, strict=True)) | changes


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def ingest(path: Path, *options: str) -> str:
    out = StringIO()
    call_command("ingest_events", "payments", str(path), *options, stdout=out)
    return out.getvalue()


def everything() -> list[dict[str, Any]]:
    """All events of the log, by their files."""
    paths = sealing.snapshot(Stream.objects.get())
    return [event for path in paths for event in pq.read_table(path).to_pylist()]


def file_counts() -> tuple[int, int, int, int]:
    file = IngestFile.objects.get()
    return file.rows_read, file.accepted, file.duplicates, file.rejected


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz", "EVENTS.CSV"])
def test_a_csv_file_is_logged_and_sealed(stream: Stream, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [row(i) for i in range(30)])
    assert "accepted                30" in ingest(path, "--chunk", "7")
    assert not HotEvent.objects.exists()
    first = min(everything(), key=lambda event: event["_seq"])
    assert (first["_event_id"], first["amount"], first["is_fraud"]) == ("tx-0", 9.5, False)
    assert first["timestamp"] == first["_event_time"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_parquet_file_with_types_of_its_own_is_logged(stream: Stream, tmp_path: Path) -> None:
    table = pa.table(
        {
            "transaction_id": pa.array([1, 2, 3], pa.int32()),
            "timestamp": pa.array([datetime(2026, 1, 1)] * 3, pa.timestamp("ns")),  # noqa: DTZ001
            "customer_id": pa.array([7, 7, 8], pa.int64()),
            "terminal_id": pa.array(["a", "a", "b"]).dictionary_encode(),
            "amount": pa.array([1, 2, 3], pa.int8()),
            "merchant_category": pa.array(["NA", None, "fuel"]),
            "is_fraud": pa.array([0, 1, None], pa.int8()),
        }
    )
    pq.write_table(table, tmp_path / "events.parquet", row_group_size=2)
    ingest(tmp_path / "events.parquet", "--chunk", "2")
    events = sorted(everything(), key=lambda event: event["_seq"])
    assert [e["customer_id"] for e in events] == ["7", "7", "8"]
    assert [e["is_fraud"] for e in events] == [False, True, None]
    assert [e["merchant_category"] for e in events] == ["NA", None, "fuel"]


def test_history_is_known_when_it_happened(stream: Stream, tmp_path: Path) -> None:
    ingest(write(tmp_path / "old.csv", [row(1)]), "--history")
    event = everything()[0]
    assert event["_known_time"] == event["_event_time"]


def test_refused_rows_are_told_counted_and_kept(stream: Stream, tmp_path: Path) -> None:
    rows = [row(0), row(1, amount="-1"), row(2, customer_id=""), row(3, amount="much"), row(0)]
    out = ingest(write(tmp_path / "a b.csv", [*rows, row(0, amount="1")]))
    assert file_counts() == (6, 1, 1, 4)
    assert "range          amount" in out
    path = files.rejects_path(IngestFile.objects.get())
    assert path.parent == settings.FEATURE_ROOT / "quarantine" / "payments"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["row"] for line in lines] == [1, 2, 3, 5]
    assert lines[0]["raw"]["amount"] == "-1"
    rules = [line["reasons"][0]["rule"] for line in lines]
    assert rules == ["range", "missing", "type", "conflict"]
    assert list(stream.quarantine.order_by("line").values_list("line", "source")) == [
        (n, "a b.csv") for n in (1, 2, 3, 5)
    ]


def test_rows_with_too_many_or_too_few_values(stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"{','.join(COLUMNS)}\na,2026-01-01,c,t,1,0,7\nb,2026-01-01,c\n\n")
    with pytest.raises(CommandError, match="Every row was refused"):
        ingest(path)
    assert set(stream.rule_counts.values_list("rule", "field", "count")) == {
        ("rows", "", 2), ("unknown_field", "column 7", 1), ("missing", "terminal_id", 1),
        ("missing", "amount", 1),
    }  # fmt: skip


def test_columns_that_the_stream_has_not_can_be_left_out(stream: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", [{**row(i), "color": "red"} for i in range(3)])
    with pytest.raises(CommandError, match="Every row was refused"):
        ingest(path)
    ingest(path, "--drop-unknown")
    assert file_counts() == (3, 3, 0, 0)


def test_a_file_that_was_refused_whole_is_read_again_when_the_stream_has_changed(
    stream: Stream, tmp_path: Path
) -> None:
    path = write(tmp_path / "events.csv", [row(i, amount="-5") for i in range(3)])
    with pytest.raises(CommandError, match="Every row was refused"):
        ingest(path)
    definition = stream.definition
    next(f for f in definition["fields"] if f["name"] == "amount")["min"] = -10
    Stream.objects.update(definition=definition)
    ingest(path)
    assert file_counts() == (3, 3, 0, 0)
    assert not files.rejects_path(IngestFile.objects.get()).read_text()


def test_a_file_is_read_once_and_again_when_asked(stream: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", [row(i) for i in range(3)])
    ingest(path)
    assert "was read to its end before" in ingest(path)
    assert file_counts() == (3, 3, 0, 0)
    ingest(path, "--again")
    assert file_counts() == (3, 0, 3, 0)
    assert len(everything()) == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("events.txt", b"a\n1\n", "must end in .csv"),
        ("events.csv", b"", "it is empty"),
        ("events.csv", b"a,a\n1,2\n", "more than once"),
        ("events.csv", b"a,b\n\xff\xfe,2\n", "no text in UTF-8"),
        ("events.csv.gz", b"a,b\n1,2\n", "gzip data is broken"),
        ("events.parquet", b"PAR1", "events.parquet: "),
        ("missing.csv", None, "No such file"),
    ],
)
def test_a_file_that_can_not_be_read_is_told(
    stream: Stream, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CommandError, match=words):
        ingest(tmp_path / name)
    assert not EventKey.objects.exists()


def test_an_unknown_stream_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no stream"):
        ingest(write(tmp_path / "events.csv", [row(1)]))


def test_a_broken_end_keeps_what_stands_before_it(stream: Stream, tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", [row(i) for i in range(4)])
    path.write_bytes(path.read_bytes() + b"\xff\xff\n")
    for _ in range(2):
        with pytest.raises(CommandError, match="no text in UTF-8"):
            ingest(path, "--chunk", "1")
        assert IngestFile.objects.get().status == RunStatus.RUNNING
    assert EventKey.objects.count() == file_counts()[1]


def test_ctrl_c_says_how_to_go_on(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "events.csv", [row(i) for i in range(10)])
    real, calls = files.take, []

    def interrupted(**given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(**given)

    monkeypatch.setattr(files, "take", interrupted)
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("ingest_events", "payments", str(path), "--chunk", "2", stdout=out)
    assert stopped.value.code == 130
    assert "Stopped after 4 rows. The same command goes on there." in out.getvalue()
    ingest(path)
    assert file_counts() == (10, 10, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_file_is_read_by_one_command_at_a_time(tmp_path: Path) -> None:
    stream = make_stream("payments")
    path = write(tmp_path / "events.csv", [row(i) for i in range(3)])
    name, sha256 = path.name, batches.fingerprint(path)
    file = files.start(
        stream=stream, actor=stream.created_by, name=name, sha256=sha256, history=False
    )
    held, done = threading.Event(), threading.Event()

    def read() -> None:
        with files.reading(file):
            held.set()
            done.wait(30)
        connection.close()

    other = threading.Thread(target=read)
    other.start()
    held.wait(30)
    with pytest.raises(CommandError, match="another command reads this file now"):
        ingest(path)
    done.set()
    other.join()
    ingest(path)
    assert file_counts() == (3, 3, 0, 0)


def test_a_terminal_gets_a_bar(stream: Stream, tmp_path: Path) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    path = write(tmp_path / "events.csv", [row(i) for i in range(4)])
    call_command("ingest_events", "payments", str(path), "--chunk", "2", stdout=out)
    assert "rows" in out.getvalue().split("\r")[1]
    assert "\r[##############################] 100%" in out.getvalue()


TOTAL = 40_000


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_killed_command_goes_on_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    make_stream("payments")
    rows = [row(i, amount="-1" if i % 100 == 7 else "5") for i in range(TOTAL)]
    path = write(tmp_path / "events.csv", [*rows, *rows[:50]])
    for kill_after in (TOTAL // 8, TOTAL // 3, TOTAL // 2):
        kill_in_the_middle(path, kill_after)
    ingest(path, "--chunk", "1000")
    bad, bad_again = TOTAL // 100, 1
    assert file_counts() == (TOTAL + 50, TOTAL - bad, 49, bad + bad_again)
    ids = [event["_event_id"] for event in everything()]
    assert len(ids) == len(set(ids)) == EventKey.objects.count() == TOTAL - bad
    kept = files.rejects_path(IngestFile.objects.get()).read_text().splitlines()
    numbers = [json.loads(line)["row"] for line in kept]
    assert numbers == [i for i in range(TOTAL) if i % 100 == 7] + [TOTAL + 7]
    counts = Stream.objects.get().rule_counts
    assert counts.get(rule="rows").count == TOTAL + 50
    assert counts.get(rule="range").count == bad + bad_again


def kill_in_the_middle(path: Path, rows: int) -> None:
    environment = {
        **os.environ,
        "AEGIS__DATABASE__NAME": connection.settings_dict["NAME"],
        "AEGIS__VAR_DIR": str(settings.FEATURE_ROOT.parent),
        "AEGIS__ML__FEATURES__SEAL_ROWS": "4000",
    }
    command = [sys.executable, "manage.py", "ingest_events", "payments", str(path)]
    with subprocess.Popen(
        [*command, "--chunk", "500"], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            file = IngestFile.objects.first()
            if file is not None and file.rows_read >= rows:
                break
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed: it proves nothing"
        process.send_signal(signal.SIGKILL)
    assert rows <= IngestFile.objects.get().rows_read < TOTAL
    sealed = sum(EventSegment.objects.values_list("rows", flat=True))
    assert sealed + HotEvent.objects.count() == EventKey.objects.count()
