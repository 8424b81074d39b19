"""The journal and its shipper: nothing lost, nothing twice, nothing half."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection

from inference import jobs, journal
from inference.models import JournalSegment, Prediction


@pytest.fixture
def ids_of(predict: Any) -> Any:
    """Make predictions; gives their ids."""
    return lambda count: [predict().json()["prediction_id"] for _ in range(count)]


def stored() -> list[str]:
    return sorted(str(pk) for pk in Prediction.objects.values_list("pk", flat=True))


def test_shipping_twice_stores_once(ids_of: Any) -> None:
    made = ids_of(5)
    assert jobs.ship(settings.JOURNAL_ROOT).records == 5
    assert jobs.ship(settings.JOURNAL_ROOT).records == 0
    assert stored() == sorted(made)


def test_a_lost_offset_stores_nothing_twice(ids_of: Any) -> None:
    made = ids_of(5)
    jobs.ship(settings.JOURNAL_ROOT)
    JournalSegment.objects.all().delete()
    jobs.ship(settings.JOURNAL_ROOT)
    assert stored() == sorted(made)


def test_a_segment_in_use_stays_and_one_let_go_is_deleted(ids_of: Any) -> None:
    ids_of(1)
    jobs.ship(settings.JOURNAL_ROOT)
    assert len(journal.segments(settings.JOURNAL_ROOT)) == 1
    journal.writer().close()
    jobs.ship(settings.JOURNAL_ROOT)
    assert journal.segments(settings.JOURNAL_ROOT) == []
    assert not JournalSegment.objects.exists()


def test_a_half_written_last_line_is_skipped_and_counted(ids_of: Any) -> None:
    made = ids_of(3)
    journal.writer().close()
    (segment,) = journal.segments(settings.JOURNAL_ROOT)
    with segment.open("ab") as file:
        file.write(b'{"id": "01a2')
    shipped = jobs.ship(settings.JOURNAL_ROOT)
    assert (shipped.records, shipped.torn) == (3, 1)
    assert stored() == sorted(made)


def test_a_failed_batch_ships_nothing_of_itself_and_all_of_it_later(
    ids_of: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    made = ids_of(3)
    with monkeypatch.context() as broken:
        broken.setattr(jobs, "COLUMNS", (*jobs.COLUMNS[:-1], "no_such_column"))
        with pytest.raises(KeyError):
            jobs.ship(settings.JOURNAL_ROOT)
    assert stored() == []
    jobs.ship(settings.JOURNAL_ROOT)
    assert stored() == sorted(made)


def test_a_full_segment_is_followed_by_the_next(tmp_path: Path, settings: Any) -> None:
    settings.INFERENCE = settings.INFERENCE.model_copy(update={"journal_segment_bytes": 100})
    writer = journal.Journal(tmp_path)
    for i in range(3):
        writer.append([{"id": str(i), "text": "x" * 90}])
    assert len(journal.segments(tmp_path)) == 3
    assert [journal.is_abandoned(path) for path in journal.segments(tmp_path)] == [
        True,
        True,
        False,
    ]


def test_a_full_journal_refuses_to_answer(predict: Any, settings: Any) -> None:
    predict()
    settings.INFERENCE = settings.INFERENCE.model_copy(update={"journal_quota_bytes": 1})
    journal.writer()._checked = 0.0
    answer = predict()
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("The journal is full")
    assert int(answer["Retry-After"]) > 0


def test_an_unwritable_journal_refuses_to_answer(predict: Any) -> None:
    settings.JOURNAL_ROOT.parent.mkdir(parents=True, exist_ok=True)
    settings.JOURNAL_ROOT.write_text("a file where the folder should be")
    assert predict().status_code == 503


def test_fsync_can_be_asked_for(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(journal.os, "fdatasync", synced.append)
    settings.INFERENCE = settings.INFERENCE.model_copy(update={"journal_fsync": "always"})
    journal.Journal(tmp_path).append([{"id": "1"}])
    assert len(synced) == 1


def test_each_day_has_a_partition_of_its_own(ids_of: Any) -> None:
    ids_of(1)
    (segment,) = journal.segments(settings.JOURNAL_ROOT)
    record = orjson.loads(segment.read_bytes())
    late = {
        **record,
        "id": "01a20742-2b9d-710d-b567-f5ea7ff00bd1",
        "at": "2026-01-31T23:59:59+00:00",
    }
    early = {
        **record,
        "id": "01a20742-2b9d-710d-b567-f5ea7ff00bd2",
        "at": "2026-02-01T00:00:00+00:00",
    }
    other = journal.Journal(settings.JOURNAL_ROOT)
    other.append([late, early])
    other.close()
    jobs.ship(settings.JOURNAL_ROOT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM inference_prediction")
        names = {row[0] for row in cursor.fetchall()}
    today = f"inference_prediction_{datetime.now(tz=UTC):%Y%m%d}"
    assert names == {"inference_prediction_20260131", "inference_prediction_20260201", today}


def test_the_command_ships_once(ids_of: Any) -> None:
    from django.core.management import call_command  # noqa: PLC0415

    made = ids_of(2)
    call_command("ship_predictions", "--once", verbosity=0)
    assert stored() == sorted(made)
