"""Events come into the log."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection, transaction

from features.log.events import Logged, logged
from features.ml.rows import Checked
from features.models import EventKey, HotEvent, Stream

# The order of arrival is the order of the rows. The keys go in by id, in every
# request alike: two requests with the same events then wait for each other and
# never each for the other.
_APPEND = """
    WITH arriving AS MATERIALIZED (
        SELECT nextval(pg_get_serial_sequence('features_hotevent', 'seq')) AS seq, given.*
        FROM (
            SELECT line, id, decode(digest, 'hex') AS digest, payload, keys,
                timestamptz 'epoch' + at * interval '1 microsecond' AS at,
                timestamptz 'epoch' + known * interval '1 microsecond' AS known
            FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
                line int, id text, digest text, at bigint, known bigint, payload jsonb, keys text[]
            )
            ORDER BY line
        ) AS given
    ), fresh AS (
        INSERT INTO features_eventkey
            (stream_id, event_id, digest, event_time, known_time, seq, keys)
        SELECT %(stream)s, id, digest, at, known, seq, keys FROM arriving ORDER BY id
        ON CONFLICT DO NOTHING
        RETURNING event_id
    ), hot AS (
        INSERT INTO features_hotevent
            (seq, stream_id, event_id, event_time, known_time, payload, is_online)
        SELECT seq, %(stream)s, id, at, known, payload, false
        FROM arriving JOIN fresh ON fresh.event_id = arriving.id
        ORDER BY seq
    )
    SELECT arriving.line, arriving.seq FROM arriving JOIN fresh ON fresh.event_id = arriving.id
    ORDER BY arriving.seq
"""


@dataclass(frozen=True)
class Appended:
    """What became of the rows, by their places in the request: `duplicates` are in the log with
    the same content, `conflicts` with another, and nothing was changed for either."""

    fresh: list[Logged] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


def append(stream: Stream, rows: Sequence[Checked], *, known_default_us: int | None) -> Appended:
    """Add the rows whose ids are new, in one transaction; they must be without problems.

    `known_default_us` is when a row was known that doesn't tell; None: at its event time.
    """
    digests: list[str] = []
    first: dict[str, int] = {}  # the place of the first row with an id
    arriving: list[bytes] = []
    for line, row in enumerate(rows):
        payload = orjson.dumps(row.payload, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
        digests.append(digest)
        if first.setdefault(row.event_id, line) == line:
            known = _known(row, known_default_us)
            arriving.append(orjson.dumps(_record(line, row, known, digest, payload)))
    with transaction.atomic():
        taken = _insert(stream, arriving)
        old = _digests(stream, [row_id for row_id, line in first.items() if line not in taken])
    appended = Appended()
    for line, row in enumerate(rows):
        if line not in taken:
            logged = old.get(row.event_id) or digests[first[row.event_id]]
            same = logged == digests[line]
            (appended.duplicates if same else appended.conflicts).append(line)
    for line, seq in taken.items():
        row = rows[line]
        known = _known(row, known_default_us)
        appended.fresh.append(Logged(seq, row.event_id, row.event_time, known, row.payload))
    return appended


def waiting(stream: Stream, *, limit: int, after: int = 0) -> list[Logged]:
    """Events that the online store doesn't have yet, with `seq` above `after`, in their order."""
    rows = HotEvent.objects.filter(stream=stream, is_online=False, seq__gt=after).order_by("seq")
    return [logged(stream.schema, row) for row in rows[:limit]]


def mark_online(events: Iterable[Logged]) -> None:
    """Note that the online store has the events, or needs no part of them."""
    seqs = [event.seq for event in events]
    if seqs:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE features_hotevent SET is_online = true WHERE seq = ANY(%s)", [seqs]
            )


def _known(row: Checked, default: int | None) -> int:
    if row.known_time is not None:
        return row.known_time
    return row.event_time if default is None else default


def _record(line: int, row: Checked, known: int, digest: str, payload: bytes) -> dict[str, Any]:
    return {
        "line": line,
        "id": row.event_id,
        "digest": digest,
        "at": row.event_time,
        "known": known,
        "payload": orjson.Fragment(payload),
        "keys": row.keys,
    }


def _insert(stream: Stream, arriving: Sequence[bytes]) -> dict[int, int]:
    """Places of the rows that were new, with their `seq`, in its order."""
    if not arriving:
        return {}
    rows = b"[" + b",".join(arriving) + b"]"
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"rows": rows.decode(), "stream": stream.pk})
        return dict(cursor.fetchall())


def _digests(stream: Stream, ids: list[str]) -> dict[str, str]:
    """The content of events that are in the log already."""
    if not ids:
        return {}
    keys = EventKey.objects.filter(stream=stream, event_id__in=ids)
    return {
        event_id: bytes(digest).hex() for event_id, digest in keys.values_list("event_id", "digest")
    }
