"""The features of one entity at one moment, from its own events: what the online store answers.

`answer` is exact. A store that keeps sums instead of events for very hot entities computes the
aggregates itself and hands them to `finish`, which knows defaults, transforms and statuses.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

from features.ml.definition import EMPTY, Aggregation, Transform, View
from features.ml.definition import Sequence as SequenceFeature
from features.ml.schema import EVENT_TIME

Status = Literal["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"]
PRESENT: Status = "PRESENT"
NULL: Status = "NULL"
NOT_FOUND: Status = "NOT_FOUND"
EXPIRED: Status = "EXPIRED"

_LAST = math.inf  # the sequence number of an event that the store doesn't hold yet
_ORDER = itemgetter(0, 1)
_FIRST_INPUT = 3  # an event is [event_time, seq, event_id, *inputs]


@dataclass(frozen=True, slots=True)
class Value:
    """A feature's value: float, bool, str or None, for a sequence a list of lists of numbers.

    NOT_FOUND: the store has no event of the entity. EXPIRED: the newest is older than the view's
    ttl. NULL: there is no value, or a default stands for it. What is computed from the event at
    hand alone is never NOT_FOUND or EXPIRED.
    """

    value: Any
    status: Status


@dataclass(frozen=True)
class Answer:
    """The values by feature, and the time of the newest event that went into them (the ask's own
    included; None without any), in microseconds."""

    values: dict[str, Value]
    as_of: int | None


class _Fields(dict[str, Any]):
    """A row for expressions in which a field that isn't there is missing."""

    def __missing__(self, name: str) -> None:
        return None


def inputs(view: View, row: Mapping[str, Any]) -> list[Any] | None:
    """What the view keeps of an event: one value per input, None being nothing.

    Gives None when the event is not in the view at all. `row` may lack fields that are missing.
    """
    fields = _Fields(row)
    if view.where is not None and view.where.value(fields) is not True:
        return None
    found: list[Any] = []
    for item in view.inputs:
        if item.where is not None and item.where.value(fields) is not True:
            found.append(None)
        else:
            found.append(1.0 if item.of is None else item.of.value(fields))
    return found


def answer(
    view: View,
    *,
    at: int,
    events: Sequence[Sequence[Any]],
    positives: Collection[str],
    event: Mapping[str, Any] | None,
    event_id: str | None,
) -> Answer:
    """The view's features at the moment `at` (microseconds).

    `events` are the entity's stored events, each [event_time, seq, event_id, *inputs], in any
    order, back to the view's horizon and ttl at least; those after `at` are left out. `positives`
    are the ids of events whose label is confirmed risk, best a set. `event` is the ask's own
    event: when `event_id` is among `events`, the stored one stands in its place, else it counts
    as the newest. Its own label is never used.
    """
    known = [row for row in events if row[0] <= at]
    stored = bool(known)
    if event is not None and view.entity is not None:
        own = inputs(view, {**event, EVENT_TIME: at})
        if own is not None and not _holds(events, event_id):
            known.append([at, _LAST, event_id, *own])
    known.sort(key=_ORDER)
    as_of = known[-1][0] if known else None
    state = PRESENT
    if view.entity is not None and not stored:
        state = NOT_FOUND
    elif view.ttl is not None and as_of is not None and as_of < at - view.ttl:
        state = EXPIRED
    computed = _Window(at, known, positives, event_id).all(view)
    return Answer(finish(view, at=at, event=event, state=state, computed=computed), as_of)


def finish(
    view: View,
    *,
    at: int,
    event: Mapping[str, Any] | None,
    state: Status,
    computed: Mapping[str, Any],
) -> dict[str, Value]:
    """From aggregates and sequences to values: defaults, transforms, statuses.

    `state` is the entity's: PRESENT, NOT_FOUND or EXPIRED, which empties each aggregate.
    `computed` has the value of each aggregation before its default (over no events
    `over_nothing`) and the list of each sequence.
    """
    row = _Fields(event or ())
    row[EVENT_TIME] = at
    values: dict[str, Value] = {}
    historic: set[str] = set()  # features that the entity's past goes into
    for feature in view.features:
        if isinstance(feature, Transform):
            raw = feature.expression.value(row)
            looks_back = not historic.isdisjoint(feature.expression.names)
        else:
            expired = state == EXPIRED and isinstance(feature, Aggregation)
            raw = over_nothing(feature) if expired else computed[feature.name]  # type: ignore[arg-type]
            looks_back = True
        value = feature.default if raw is None else raw
        status = NULL if raw is None or raw == [] else PRESENT
        if looks_back:
            historic.add(feature.name)
            status = status if state == PRESENT else state
        row[feature.name] = value
        values[feature.name] = Value(value, status)
    return values


def over_nothing(aggregation: Aggregation) -> float | None:
    """An aggregation's value over no events, before its default."""
    return EMPTY.get(aggregation.function) if aggregation.default is None else None


def _holds(events: Sequence[Sequence[Any]], event_id: str | None) -> bool:
    return event_id is not None and event_id in [row[2] for row in events]


def _sum(values: list[Any]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def _mean(values: list[Any]) -> float:
    return _sum(values) / len(values)


def _std(values: list[Any]) -> float:
    mean = _mean(values)
    return math.sqrt(_sum([(x - mean) * (x - mean) for x in values]) / len(values))


def _distinct(values: list[Any]) -> float:
    return float(len(set(values)))


# Over at least one value; no finite number is null.
_AGGREGATES: dict[str, Callable[[list[Any]], float]] = {
    "count": lambda values: float(len(values)),
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": lambda values: float(min(values)),
    "max": lambda values: float(max(values)),
    "distinct": _distinct,
}


class _Window:
    """The events known at a moment, sorted, cut into the windows that features ask for."""

    def __init__(
        self,
        at: int,
        rows: list[Sequence[Any]],
        positives: Collection[str],
        own_id: str | None,
    ) -> None:
        self._at = at
        self._rows = rows
        self._times = [row[0] for row in rows]
        self._risky = [row for row in rows if row[2] in positives and row[2] != own_id]
        self._columns: dict[int, list[Any]] = {}
        self._found: dict[tuple[int, int, int], list[Any]] = {}

    def all(self, view: View) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for feature in view.features:
            if isinstance(feature, Aggregation):
                found[feature.name] = self._aggregate(feature)
            elif isinstance(feature, SequenceFeature):
                found[feature.name] = self._sequence(feature)
        return found

    def _bounds(self, window: int, lag: int) -> tuple[int, int]:
        """Positions of the events in (at - lag - window, at - lag]."""
        end = self._at - lag
        return bisect_right(self._times, end - window), bisect_right(self._times, end)

    def _values(self, feature: Aggregation) -> list[Any]:
        """The inputs in the window that aren't nothing, the oldest first."""
        key = (feature.input, feature.window, feature.lag)
        if key not in self._found:
            column = self._columns.get(feature.input)
            if column is None:
                place = _FIRST_INPUT + feature.input
                column = self._columns[feature.input] = [row[place] for row in self._rows]
            low, high = self._bounds(feature.window, feature.lag)
            self._found[key] = [x for x in column[low:high] if x is not None]
        return self._found[key]

    def _aggregate(self, feature: Aggregation) -> Any:
        values = self._values(feature)
        if not values:
            return over_nothing(feature)
        if feature.function == "label_rate":
            return self._risk(feature) / len(values)
        if feature.function == "last":
            return float(values[-1]) if feature.kind == "numeric" else values[-1]
        found = _AGGREGATES[feature.function](values)
        return found if math.isfinite(found) else None

    def _risk(self, feature: Aggregation) -> int:
        """How many of the events in the window are confirmed risk."""
        end = self._at - feature.lag
        start, place = end - feature.window, _FIRST_INPUT + feature.input
        return sum(start < row[0] <= end and row[place] is not None for row in self._risky)

    def _sequence(self, feature: SequenceFeature) -> list[list[float | None]]:
        low, high = self._bounds(feature.window, 0)
        places = [_FIRST_INPUT + i for i in feature.inputs]
        found: list[list[float | None]] = []
        for row in reversed(self._rows[low:high]):
            step = [None if row[i] is None else float(row[i]) for i in places]
            if any(x is not None for x in step):
                found.append(step)
            if len(found) == feature.length:
                break
        found.reverse()
        return found
