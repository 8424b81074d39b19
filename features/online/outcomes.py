"""How events turned out goes into the store."""

from collections.abc import Sequence
from dataclasses import dataclass

from features import label_log
from features.log.events import microseconds
from features.models import EventKey, Stream
from features.online import client, keys, live
from features.online.client import Command
from features.online.live import Target


@dataclass(frozen=True)
class _Event:
    event_id: str
    event_time: int
    keys: dict[str, str]  # by entity


def refresh_labels(stream: Stream, event_ids: Sequence[str]) -> None:
    """Bring what the live versions know of these events' labels up to date.

    Raises `redis.RedisError`.
    """
    rows = EventKey.objects.filter(stream=stream, event_id__in=event_ids)
    events = [_event(stream, row) for row in rows]
    said = label_log.standing(stream, [event.event_id for event in events])

    def commands(targets: Sequence[Target]) -> list[Command]:
        return [
            _command(target, event, key, said.get(event.event_id))
            for target in targets
            if target.reads_labels
            for event in events
            if (key := event.keys.get(target.entity or "")) is not None
        ]

    live.write(stream, commands)


def _event(stream: Stream, row: EventKey) -> _Event:
    named = zip(stream.schema.entities, row.keys, strict=False)
    return _Event(
        event_id=row.event_id,
        event_time=microseconds(row.event_time),
        keys={entity: key for entity, key in named if key is not None},
    )


def _command(target: Target, event: _Event, key: str, is_positive: bool | None) -> Command:
    """`is_positive` is None when no statement stands: then the event's own label speaks."""
    entity = keys.entity_prefix(target.prefix, key)
    said = "-" if is_positive is None else str(int(is_positive))
    return client.OUTCOMES.call(
        [entity + part for part in "etlo"],
        [target.keep // 1000, event.event_time, event.event_id, said],
    )
