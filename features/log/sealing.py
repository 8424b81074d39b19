"""Rows become files, files are merged, and readers are told which files to read."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count

from features.log import files
from features.log.events import moment
from features.log.files import HotRow
from features.models import EventSegment, Stream

log = structlog.get_logger(__name__)

READ = 20_000  # rows in memory as Python objects at a time
SMALL_FILES = 8  # a day may have so many
MERGE_ROWS = 1_000_000

_US = "(extract(epoch from {0}) * 1000000)::bigint"
_ROW = f"seq, event_id, {_US.format('event_time')}, {_US.format('known_time')}, payload"
_WAITING = f"""
    SELECT {_ROW} FROM features_hotevent
    WHERE stream_id = %s AND is_online AND seq > %s ORDER BY seq LIMIT %s
"""  # noqa: S608 - our own names
# One statement sees one state of both tables: a row that is being sealed is in exactly one.
_EVERYTHING = f"""
    SELECT path, NULL, NULL, NULL, NULL, NULL FROM features_eventsegment
    WHERE stream_id = %(stream)s AND max_event_time >= coalesce(%(since)s, max_event_time)
        AND min_event_time < coalesce(%(until)s, timestamptz 'infinity')
    UNION ALL
    SELECT NULL, {_ROW} FROM features_hotevent
    WHERE stream_id = %(stream)s AND event_time >= coalesce(%(since)s, event_time)
        AND event_time < coalesce(%(until)s, timestamptz 'infinity')
"""  # noqa: S608 - our own names

# Rows that another sealer is deleting are skipped, so that neither waits for the other.
_DELETE = """
    WITH mine AS (
        SELECT seq FROM features_hotevent WHERE seq = ANY(%s) FOR UPDATE SKIP LOCKED
    )
    DELETE FROM features_hotevent USING mine WHERE features_hotevent.seq = mine.seq
"""


class _Raced(Exception):
    """Somebody else was quicker with the same rows."""


def seal(stream: Stream, *, limit: int | None = None) -> int:
    """Move rows that the online store has into files, at most `limit` at once; gives how many.

    Rows that still wait for the online store stay. Rows that another process
    seals at the same time are left to it.
    """
    limit = limit or settings.FEATURES.seal_rows
    sealed = 0
    while True:
        try:
            count = _seal_some(stream, limit)
        except _Raced:
            return sealed
        sealed += count
        if count < limit:
            return sealed


def snapshot(stream: Stream, *, since: int | None = None, until: int | None = None) -> list[str]:
    """Absolute paths of files with each event that is in the log now whose event time is in
    [since, until), in microseconds, and maybe with others.

    The files stay for an hour at least. Rows that can't be sealed yet are
    copied into files that are in no other snapshot.
    """
    seal(stream)
    bounds = {
        "stream": stream.pk,
        "since": None if since is None else moment(since),
        "until": None if until is None else moment(until),
    }
    with connection.cursor() as cursor:
        cursor.execute(_EVERYTHING, bounds)
        found = cursor.fetchall()
    paths = [path for path, *_ in found if path is not None]
    hot = [_hot(row) for path, *row in found if path is None]
    if hot:
        copies = files.write_days(stream, files.table_of(stream.schema, hot))
        paths += [copy.path for copy in copies]
    return [str(files.absolute(path)) for path in sorted(paths)]


def compact(stream: Stream) -> int:
    """Merge the small files of days that have many; gives how many files went into others."""
    days = EventSegment.objects.filter(stream=stream).values("day").order_by("day")
    many = days.annotate(files=Count("pk")).filter(files__gt=SMALL_FILES)
    return sum(_merge(stream, day) for day in many.values_list("day", flat=True))


def _seal_some(stream: Stream, limit: int) -> int:
    tables, seqs = [], []
    for rows in _sealable(stream, limit):
        tables.append(files.table_of(stream.schema, rows))
        seqs += [row.seq for row in rows]
    if not seqs:
        return 0
    segments = files.write_days(stream, pa.concat_tables(tables))
    if not _move(segments, seqs):
        _discard(segments)
        raise _Raced
    return len(seqs)


@transaction.atomic
def _move(segments: Sequence[EventSegment], seqs: list[int]) -> bool:
    """Name the files and delete the rows, or neither when a row is somebody else's."""
    EventSegment.objects.bulk_create(segments)
    is_ours = _delete_hot(seqs) == len(seqs)
    if not is_ours:
        transaction.set_rollback(True)
    return is_ours


def _sealable(stream: Stream, limit: int) -> Iterator[list[HotRow]]:
    last = 0
    while limit > 0:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING, [stream.pk, last, min(READ, limit)])
            rows = [_hot(row) for row in cursor.fetchall()]
        if not rows:
            return
        yield rows
        last, limit = rows[-1].seq, limit - len(rows)


def _hot(row: Sequence[Any]) -> HotRow:
    seq, event_id, event_time, known_time, payload = row
    return HotRow(seq, event_id, event_time, known_time, orjson.loads(payload))


def _delete_hot(seqs: list[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, [seqs])
        return int(cursor.rowcount)


def _merge(stream: Stream, day: Any) -> int:
    """Merge the day's files of like size: a big one is written again only when as much came."""
    segments = _like_sized(EventSegment.objects.filter(stream=stream, day=day).order_by("rows"))
    if len(segments) <= 1:
        return 0
    old: list[UUID] = [segment.pk for segment in segments]
    new = files.write_days(stream, files.merged(stream, segments))
    files.keep_a_while(segments)
    if not _replace(old, new):
        _discard(new)
        return 0
    return len(old)


@transaction.atomic
def _replace(old: Sequence[UUID], new: Sequence[EventSegment]) -> bool:
    """Name the new files instead of the old ones, or not when somebody else has merged these."""
    gone, _ = EventSegment.objects.filter(pk__in=old).delete()
    if gone != len(old):
        transaction.set_rollback(True)
        return False
    EventSegment.objects.bulk_create(new)
    return True


def _like_sized(segments: Any) -> list[EventSegment]:
    chosen: list[EventSegment] = []
    total = 0
    for segment in segments:
        too_big = chosen and segment.rows > 2 * total
        if too_big or total + segment.rows > MERGE_ROWS:
            break
        chosen.append(segment)
        total += segment.rows
    return chosen


def _discard(segments: Sequence[EventSegment]) -> None:
    for segment in segments:
        files.absolute(segment.path).unlink(missing_ok=True)
