"""Moments as people and programs write them."""

from datetime import UTC, datetime

EXAMPLE = "2026-03-01T12:00:00Z"
# Far enough from what a datetime can hold to go back and forth from there by years.
FIRST = datetime(1900, 1, 1, tzinfo=UTC)
LAST = datetime(3000, 1, 1, tzinfo=UTC)
OUTSIDE = "is not within the years 1900 to 2999"


def parse(text: str) -> datetime:
    """The moment that `text` names in ISO 8601 with its zone, in UTC.

    Raises `ValueError` with a sentence: no such form, no zone, outside the years 1900 to 2999.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"must be a time in ISO 8601, such as {EXAMPLE}") from None
    if moment.tzinfo is None:
        raise ValueError(f"must say its time zone, such as {EXAMPLE}")
    if not FIRST <= moment < LAST:
        raise ValueError(OUTSIDE)
    return moment.astimezone(UTC)
