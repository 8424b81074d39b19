"""An event as the log gives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.ml.schema import EVENT_TIME, Schema

if TYPE_CHECKING:
    from features.models import HotEvent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the log. Times are microseconds since 1970, in `payload` too, which holds the
    schema's fields that aren't null."""

    seq: int
    event_id: str
    event_time: int
    known_time: int
    payload: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """What expressions read: the fields and `event_time`; a field that is missing is None."""
        row = _Row(self.payload)
        row[EVENT_TIME] = self.event_time
        return row


def logged(schema: Schema, row: "HotEvent") -> Logged:
    """An event that is not sealed yet."""
    return Logged(
        seq=row.seq,
        event_id=row.event_id,
        event_time=microseconds(row.event_time),
        known_time=microseconds(row.known_time),
        payload=as_typed(schema, row.payload),
    )


class _Row(dict[str, Any]):
    def __missing__(self, name: str) -> None:
        return None


def microseconds(moment: datetime) -> int:
    """Since 1970; exact, unlike `timestamp()`."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def as_typed(schema: Schema, payload: dict[str, Any]) -> dict[str, Any]:
    """A payload as it was before PostgreSQL kept it, which writes 1e300 like a whole number."""
    for field in schema.fields:
        if field.type == "number" and type(payload.get(field.name)) is int:
            payload[field.name] = float(payload[field.name])
    return payload
