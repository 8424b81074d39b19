"""Which view versions a stream's events feed: known to each process, and told when it changes."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from features.ml.definition import View
from features.ml.durations import DAY
from features.models import FeatureViewVersion, Stream
from features.online import client, keys
from features.online.client import Command, Reply
from features.online.tiles import Wanted

FRESH_SECONDS = 30.0  # a table changed by hand is noticed after this time


@dataclass(frozen=True)
class Target:
    """One view version's state in the store. `keep` tells how much older than an entity's newest
    event the oldest kept one may be, in microseconds. The rest is the view's, computed once."""

    version_id: UUID
    label: str
    prefix: str
    view: View
    keep: int
    entity: str | None
    entity_field: str | None
    horizon: int
    reads_labels: bool
    wanted: Wanted

    @classmethod
    def of(cls, version: FeatureViewVersion) -> "Target":
        view = version.compiled
        return cls(
            version_id=version.pk,
            label=str(version),
            prefix=keys.version_prefix(version.pk),
            view=view,
            keep=view.reach + settings.FEATURES.late_days * DAY,
            entity=view.entity,
            entity_field=view.entity_field,
            horizon=view.horizon,
            reads_labels=view.reads_labels,
            wanted=Wanted.of(view),
        )


@dataclass(frozen=True)
class Targets:
    """The live versions of a stream that hold state, as of one generation."""

    generation: Reply
    read_at: float
    targets: tuple[Target, ...]


_known: dict[int, Targets] = {}


def announce(stream_id: int) -> None:
    """Make every process read the live versions of a stream before its next write counts as done.

    Raises `redis.RedisError`.
    """
    client.exchange([[b"SET", keys.live(stream_id), uuid.uuid4().hex]])


def write(stream: Stream, commands_for: Callable[[Sequence[Target]], list[Command]]) -> None:
    """Send commands to each live version of `stream`; all of them again when the live versions
    turn out to have changed, so each must be one that may be run twice.

    Raises `redis.RedisError`; then some may have been run.
    """
    known = _targets_of(stream)
    while True:
        ask: Command = [b"GET", keys.live(stream.pk)]
        generation = client.send_all([*commands_for(known.targets), ask])
        if generation == known.generation:
            return
        known = _learn(stream, generation)


def _targets_of(stream: Stream) -> Targets:
    """Those that this process knows of; at most `FRESH_SECONDS` old."""
    known = _known.get(stream.pk)
    if known is None or time.monotonic() - known.read_at > FRESH_SECONDS:
        [generation] = client.exchange([[b"GET", keys.live(stream.pk)]])
        known = _learn(stream, generation)
    return known


def _learn(stream: Stream, generation: Reply) -> Targets:
    """Read the live versions anew; `generation` was read from Redis before."""
    old = _known.get(stream.pk)
    compiled = {target.version_id: target for target in old.targets} if old else {}
    rows = FeatureViewVersion.objects.live().filter(view__stream=stream)
    rows = rows.exclude(view__entity=None).select_related("view__stream")
    found = tuple(compiled.get(row.pk) or Target.of(row) for row in rows)
    _known[stream.pk] = known = Targets(generation, time.monotonic(), found)
    return known
