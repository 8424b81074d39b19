"""Names in Redis.

    PREFIX = fs:INSTALLATION:v:VERSION
    PREFIX:{ENTITY KEY}:e, :t, :l, :o      an entity's events, tiles, positives, own labels
    {PREFIX}:ready, {PREFIX}:building      what is known about the whole version
    fs:INSTALLATION:live:STREAM, fs:INSTALLATION:labels:STREAM

What stands in braces decides on which node of a Redis Cluster a key lies.
"""

from uuid import UUID

from django.conf import settings


def version_prefix(version_id: UUID) -> str:
    return f"fs:{settings.INSTALLATION}:v:{version_id.hex[:16]}"


def entity_prefix(prefix: str, key: str) -> str:
    return f"{prefix}:{{{key}}}:"


def ready(prefix: str) -> str:
    """Holds the id of the Redis process in which the version's state was complete."""
    return f"{{{prefix}}}:ready"


def building(prefix: str) -> str:
    """Holds who builds the version; it is gone when Redis was emptied meanwhile."""
    return f"{{{prefix}}}:building"


def live(stream_id: int) -> str:
    """Changes whenever another set of versions is to be fed with the stream's events."""
    return f"fs:{settings.INSTALLATION}:live:{stream_id}"


def labels_done(stream_id: int) -> str:
    """Labels known before this moment (seconds since 1970) are in the store."""
    return f"fs:{settings.INSTALLATION}:labels:{stream_id}"
