"""Events go into the store."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from features import label_log
from features.ml import recent
from features.models import Stream
from features.online import client, keys, live
from features.online.client import Command
from features.online.live import Target

if TYPE_CHECKING:
    from features.log import Logged

AT_ONCE = 500  # events of one entity in one command


def feed(stream: Stream, events: Sequence["Logged"]) -> None:
    """Add `events` to each live view version of `stream`; adding one again changes nothing.

    Raises `redis.RedisError`; then some may have been added.
    """
    live.write(stream, lambda targets: additions(stream, targets, events))


def additions(
    stream: Stream, targets: Sequence[Target], events: Sequence["Logged"]
) -> list[Command]:
    """The commands that add `events` to `targets`."""
    own = _own_labels(stream, targets, events)
    commands: list[Command] = []
    rows = [event.row() for event in events] if targets else []
    for target in targets:
        for key, members in _by_entity(target, events, rows).items():
            for start in range(0, len(members), AT_ONCE):
                commands.append(_addition(target, key, members[start : start + AT_ONCE], own))
    return commands


def _own_labels(
    stream: Stream, targets: Sequence[Target], events: Sequence["Logged"]
) -> dict[str, bool]:
    """Events that were sent with a true label, and whether no stronger statement denies it."""
    label = stream.schema.label
    if label is None or not any(target.reads_labels for target in targets):
        return {}
    ids = [event.event_id for event in events if event.payload.get(label) == 1]
    said = label_log.standing(stream, ids) if ids else {}
    return {event_id: said.get(event_id, True) for event_id in ids}


_Members = list[tuple[int, str, bytes]]


def _by_entity(
    target: Target, events: Sequence["Logged"], rows: Sequence[Mapping[str, Any]]
) -> dict[str, _Members]:
    view, field = target.view, target.entity_field or ""
    found: dict[str, _Members] = {}
    for event, row in zip(events, rows, strict=True):
        key = row.get(field)
        if key is None:
            continue
        values = recent.inputs(view, row)
        if values is None:
            continue
        # One spelling per value: 5 and 5.0, 0.0 and -0.0 are the same event's, however it came.
        values = [v + 0.0 if type(v) in (float, int) else v for v in values]
        member = orjson.dumps([event.event_time, event.seq, event.event_id, *values])
        found.setdefault(str(key), []).append((event.event_time, event.event_id, member))
    return found


def _addition(target: Target, key: str, members: _Members, own: Mapping[str, bool]) -> Command:
    entity = keys.entity_prefix(target.prefix, key)
    names = [f"{entity}e", f"{entity}t"]
    labels: list[client.Part] = []
    if target.reads_labels:
        names += [f"{entity}l", f"{entity}o"]
        for time, event_id, _ in members:
            if event_id in own:
                labels += [time, event_id, int(own[event_id])]
    added: list[client.Part] = [part for time, _, member in members for part in (time, member)]
    keep = [target.keep, target.keep // 1000]
    return client.APPLY.call(names, [*keep, len(members), *added, *labels])
