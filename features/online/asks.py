"""What is asked of the store, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict


@dataclass(frozen=True)
class Ask:
    """For which entities (by name: the key's text) and which moment; `event` has the fields of
    the event at hand, checked, when there is one."""

    at: int
    keys: Mapping[str, str]
    event: Mapping[str, Any] | None = None
    event_id: str | None = None


class Approximate(TypedDict):
    """Answered from tiles: `events` are in reach, `distinct_error` is the relative standard
    error of distinct counts above 256, or 0 when there are none; the rest is exact."""

    events: int
    distinct_error: float


class ViewState(TypedDict):
    """`as_of` is the time of the newest event that was used, `age` how long before the ask it
    was, in microseconds."""

    as_of: int | None
    age: int | None
    approximate: NotRequired[Approximate]


@dataclass(frozen=True)
class Fetched:
    """Values and statuses by feature, states by "view@v2"."""

    values: dict[str, Any]
    statuses: dict[str, str]
    views: dict[str, ViewState]
