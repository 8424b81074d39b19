"""The event log's housekeeping."""

import pyarrow as pa
import structlog

from features.log import files, sealing
from features.models import HotEvent, Stream

logger = structlog.get_logger(__name__)


def seal_streams() -> int:
    """Move what waits in the table into files, and merge small files; gives the rows moved."""
    waiting = HotEvent.objects.filter(is_online=True).values("stream").distinct()
    return sum(_seal(stream) for stream in Stream.objects.filter(pk__in=waiting))


def clear_leftovers() -> int:
    """Delete files that no row names any more; gives how many."""
    return files.clear_leftovers()


def _seal(stream: Stream) -> int:
    try:
        sealed = sealing.seal(stream)
        sealing.compact(stream)
    except (OSError, pa.ArrowException):  # a full disk, a broken file: the other streams go on
        logger.exception("sealing failed", stream=stream.name)
        return 0
    return sealed
