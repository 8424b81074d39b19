"""Identifiers: time-ordered UUIDs for rows that arrive fast, request ids for the log."""

import re
import uuid
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def time_ordered() -> UUID:
    """A UUID version 7: its first 48 bits are the Unix time in milliseconds."""
    return UUID(int=uuid_utils.uuid7().int)


def time_of(identifier: UUID) -> datetime | None:
    """When a version 7 UUID was made (UTC, to the millisecond); None for any other version."""
    if identifier.version != 7:  # noqa: PLR2004 - the version is the point
        return None
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, tz=UTC)


def request_id(given: str | None) -> str:
    """The caller's request id when it is a plain token, else a new one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells in the canonical form, or None."""
    try:
        return UUID(text) if len(text) == 36 else None  # noqa: PLR2004
    except ValueError:
        return None
