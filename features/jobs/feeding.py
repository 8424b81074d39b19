"""What brings logged events to the online store."""

from collections.abc import Sequence

import redis
import structlog

from features import log as event_log
from features import online
from features.log import Logged
from features.models import FeatureViewVersion, HotEvent, Stream

logger = structlog.get_logger(__name__)

AT_ONCE = 5_000


def feed(stream: Stream, events: Sequence[Logged]) -> int:
    """Give events, whose transaction is over, to the online store; gives how many must wait.

    They wait in the log while Redis is away; `feed_waiting` brings them later.
    """
    for start in range(0, len(events), AT_ONCE):
        part = events[start : start + AT_ONCE]
        try:
            # A version that goes live after this look is built from the log, which has them.
            if _has_live_versions(stream):
                online.feed(stream, part)
        except redis.RedisError as error:
            left = len(events) - start
            logger.warning(
                "events wait for Redis", stream=stream.name, events=left, error=str(error)[:200]
            )
            return left
        event_log.mark_online(part)
    return 0


def feed_waiting() -> int:
    """Bring what was logged but isn't in the online store, of all streams; gives how many came.

    An event whose own request is just feeding it is brought twice, which changes nothing.
    """
    ids = HotEvent.objects.filter(is_online=False).values("stream").distinct()
    return sum(_feed_stream(stream) for stream in Stream.objects.filter(pk__in=ids))


def _feed_stream(stream: Stream) -> int:
    brought = last = 0
    while events := event_log.waiting(stream, limit=AT_ONCE, after=last):
        if feed(stream, events):
            break
        brought, last = brought + len(events), events[-1].seq
    return brought


def _has_live_versions(stream: Stream) -> bool:
    versions = FeatureViewVersion.objects.live().filter(view__stream=stream)
    return versions.exclude(view__entity=None).exists()
