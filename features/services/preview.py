"""What a definition gives for the newest events of its stream, before it is kept.

Bounded in time and memory, whatever the stream's size: values look back over
the events that were read, and the answer says how many those are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features import label_log
from features.log import Logged
from features.log.events import moment
from features.ml import recent
from features.ml.definition import View
from features.ml.schema import EVENT_TIME
from features.models import Entity, Stream
from features.services import views

SHOWN = 20  # newest events that are computed
MOST_PER_KEY = 1_000


@dataclass(frozen=True)
class Row:
    """The features of one event."""

    event_id: str
    event_time: datetime
    key: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Preview:
    """Rows, newest first; `null_shares` says for each feature which share of them is null."""

    names: Sequence[str]
    rows: Sequence[Row]
    null_shares: Mapping[str, float]
    events_read: int
    message: str


def preview(*, stream: Stream, entity: Entity | None, definition: Any) -> Preview:
    """Compute `definition` for the stream's newest events, each as it was when it came.

    Labels are those that stand now. Raises `Invalid` naming each wrong part of the definition.
    """
    _, view = views.checked_definition(stream=stream, entity=entity, definition=definition)
    from features.services import newest  # noqa: PLC0415 - loads pyarrow

    read = newest.read(stream, _used(view))
    asked = read.newest(SHOWN)
    if not asked:
        return Preview(view.names, (), {}, 0, f"Stream {stream} has no events yet.")
    keys = {key for event in asked if (key := _key(event, view)) is not None}
    events = read.of_keys(view.entity_field, keys, MOST_PER_KEY) if view.entity_field else []
    rows = _computed(view, asked, _by_key(events, view), stream)
    return Preview(
        names=view.names,
        rows=rows,
        null_shares={
            name: sum(row.values[name] is None for row in rows) / len(rows) for name in view.names
        },
        events_read=read.count,
        message=f"Computed over the newest {read.count:,} events; older ones are not looked at.",
    )


def _used(view: View) -> set[str]:
    """The fields that computing the view needs."""
    used = {*view.fields, view.entity_field, view.schema.label} - {EVENT_TIME, None}
    return {str(name) for name in used}


def _key(event: Logged, view: View) -> str | None:
    value = event.payload.get(view.entity_field) if view.entity_field else None
    return None if value is None else str(value)


def _by_key(events: Iterable[Logged], view: View) -> dict[str | None, list[Logged]]:
    """The events of each key in the order of arrival."""
    found: dict[str | None, list[Logged]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.known_time, event.seq)):
        found[_key(event, view)].append(event)
    return found


def _computed(
    view: View,
    asked: Sequence[Logged],
    history: Mapping[str | None, Sequence[Logged]],
    stream: Stream,
) -> list[Row]:
    known = [event for events in history.values() for event in events]
    positives = _positives(stream, known) if view.reads_labels else frozenset()
    return [_row(view, ask, history.get(_key(ask, view), ()), positives) for ask in asked]


def _positives(stream: Stream, events: Sequence[Logged]) -> frozenset[str]:
    """Events that are confirmed risk: by the statements that stand, else by their own label."""
    own, ids = stream.schema.label, [event.event_id for event in events]
    said = {event.event_id: bool(event.payload.get(own)) for event in events} if own else {}
    said |= label_log.standing(stream, ids)
    return frozenset(event_id for event_id, positive in said.items() if positive)


def _row(view: View, ask: Logged, history: Sequence[Logged], positives: frozenset[str]) -> Row:
    known = [
        event for event in history if (event.known_time, event.seq) <= (ask.known_time, ask.seq)
    ]
    read = [(event, recent.inputs(view, event.row())) for event in known[-MOST_PER_KEY:]]
    answer = recent.answer(
        view,
        at=ask.event_time,
        events=[
            [e.event_time, e.seq, e.event_id, *values] for e, values in read if values is not None
        ],
        positives=positives,
        event=ask.row(),
        event_id=ask.event_id,
    )
    values = {name: answer.values[name].value for name in view.names}
    return Row(ask.event_id, moment(ask.event_time), _key(ask, view), values)
