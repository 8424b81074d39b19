"""What the statements about events say: now, and at any moment of the past."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from features.choices import PRECEDENCE, Disposition, LabelSource
from features.log.events import microseconds
from features.ml.labels import Statement, outcome, spells
from features.models import Label, Stream

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("event_id", "known_time", "source", "disposition", "reversal__known_time", "pk")


def standing(stream: Stream, event_ids: Collection[str]) -> dict[str, bool]:
    """Events about which a statement stands, and whether it says confirmed risk."""
    rows = Label.objects.standing().filter(stream=stream, event_id__in=list(event_ids))
    found = _by_event(rows.order_by("event_id").values_list(*_COLUMNS))
    said = ((event_id, outcome(statements)) for event_id, statements in found)
    return {event_id: word for event_id, word in said if word is not None}


def intervals(stream: Stream) -> "pa.Table":
    """When which word about an event stood, by known time: event_id, start (us), end (us, null
    while it still stands), is_positive; the stretch is [start, end).

    Where no row covers a moment, the event's own label speaks.
    """
    import pyarrow as pa  # noqa: PLC0415 - what is served online needs none of it

    schema = pa.schema(
        [("event_id", pa.string()), ("start", pa.int64()), ("end", pa.int64()),
         ("is_positive", pa.bool_())]
    )  # fmt: skip
    rows = Label.objects.filter(stream=stream, reverses=None).exclude(event_id="")
    ordered = rows.order_by("event_id").values_list(*_COLUMNS)
    found: dict[str, list[Any]] = {name: [] for name in schema.names}
    for event_id, statements in _by_event(ordered.iterator(chunk_size=10_000)):
        for spell in spells(statements):
            for name, value in zip(
                schema.names, (event_id, spell.start, spell.end, spell.positive), strict=True
            ):
                found[name].append(value)
    return pa.table(found, schema=schema)


def _by_event(rows: Iterable[Any]) -> Iterator[tuple[str, list[Statement]]]:
    for event_id, group in groupby(rows, key=itemgetter(0)):
        yield event_id, [_statement(*row[1:]) for row in group]


def _statement(
    known: datetime, source: str, disposition: str, reversed_at: datetime | None, pk: Any
) -> Statement:
    return Statement(
        known=microseconds(known),
        rank=PRECEDENCE[LabelSource(source)],
        positive=disposition == Disposition.CONFIRMED_RISK,
        reversed_at=None if reversed_at is None else microseconds(reversed_at),
        tie=str(pk),
    )
