"""The features of one entity at one moment, from its own events: what the online store answers.

`answer` is exact. A store that keeps sums instead of events for very hot entities computes the
aggregates itself and hands them to `finish`, which knows defaults, transforms and statuses.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter, lt
from typing import Any, Literal, NamedTuple

from features.ml.definition import EMPTY, Aggregation, Transform, View
from features.ml.definition import Sequence as SequenceFeature
from features.ml.schema import EVENT_TIME

Status = Literal["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"]
PRESENT: Status = "PRESENT"
NULL: Status = "NULL"
NOT_FOUND: Status = "NOT_FOUND"
EXPIRED: Status = "EXPIRED"

_ORDER = itemgetter(0, 1)


class Value(NamedTuple):
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
    fields = row if isinstance(row, _Fields) else _Fields(row)
    if view.where is not None and view.where.value(fields) is not True:
        return None
    found: list[Any] = []
    for item in view.inputs:
        if item.where is not None and item.where.value(fields) is not True:
            found.append(None)
        else:
            found.append(1.0 if item.of is None else item.of.value(fields))
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A moment in microseconds, and the event at hand if there is one: its fields, its id, and
    what the view keeps of it (see `inputs`)."""

    at: int
    event: Mapping[str, Any] | None = None
    event_id: str | None = None
    kept: Sequence[Any] | None = None

    @classmethod
    def of(
        cls, view: View, *, at: int, event: Mapping[str, Any] | None, event_id: str | None
    ) -> "Asked":
        kept = None
        if event is not None and view.entity is not None:
            row = _Fields(event)
            row[EVENT_TIME] = at
            kept = inputs(view, row)
        return cls(at, event, event_id, kept)


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
    asked = Asked.of(view, at=at, event=event, event_id=event_id)
    return answer_to(view, asked, events, positives)


def answer_to(
    view: View, asked: Asked, events: Sequence[Sequence[Any]], positives: Collection[str]
) -> Answer:
    """The same, with what is asked put together before."""
    at = asked.at
    if view.entity is None:
        values = finish(view, at=at, event=asked.event, state=PRESENT, computed={})
        return Answer(values, None)
    past = _Past.of(view, at, events)
    state = PRESENT if past.times else NOT_FOUND
    if asked.kept is not None and not past.holds(asked.event_id):
        past = past.followed_by(asked)
    as_of = past.times[-1] if past.times else None
    if state == PRESENT and view.ttl is not None and as_of is not None and as_of < at - view.ttl:
        state = EXPIRED
    computed = _Window(asked, past, positives).all(view)
    values = finish(view, at=at, event=asked.event, state=state, computed=computed)
    return Answer(values, as_of)


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
    row = _Fields((event if view.transforms else None) or ())
    row[EVENT_TIME] = at
    values: dict[str, Value] = {}
    for feature in view.features:
        name = feature.name
        if isinstance(feature, Transform):
            raw = feature.expression.value(row)
        elif state == EXPIRED and isinstance(feature, Aggregation):
            raw = over_nothing(feature)
        else:
            raw = computed[name]
        status = NULL if raw is None or raw == [] else PRESENT
        if state != PRESENT and name in view.historic:
            status = state
        row[name] = value = feature.default if raw is None else raw
        values[name] = Value(value, status)
    return values


def over_nothing(aggregation: Aggregation) -> float | None:
    """An aggregation's value over no events, before its default."""
    return EMPTY.get(aggregation.function) if aggregation.default is None else None


def _sum(values: Sequence[Any]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def _mean(values: Sequence[Any]) -> float:
    return _sum(values) / len(values)


def _std(values: Sequence[Any]) -> float:
    mean = _mean(values)
    return math.sqrt(_sum([(x - mean) * (x - mean) for x in values]) / len(values))


def _distinct(values: Sequence[Any]) -> float:
    return float(len(set(values)))


# Over at least one value; no finite number is null.
_AGGREGATES: dict[str, Callable[[Sequence[Any]], float]] = {
    "count": lambda values: float(len(values)),
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": lambda values: float(min(values)),
    "max": lambda values: float(max(values)),
    "distinct": _distinct,
}


@dataclass(frozen=True, slots=True)
class _Past:
    """The events known at a moment, in order: their times, their ids, a column per input.
    `later` are the ids of those that were known only after it."""

    times: tuple[int, ...] = ()
    ids: tuple[str | None, ...] = ()
    columns: Sequence[tuple[Any, ...]] = ()
    later: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, view: View, at: int, events: Sequence[Sequence[Any]]) -> "_Past":
        if not events:
            return cls(columns=((),) * len(view.inputs))
        times, _, ids, *columns = zip(*events, strict=True)
        if not all(map(lt, times, islice(times, 1, None))):  # the store's mostly are in order
            times, _, ids, *columns = zip(*sorted(events, key=_ORDER), strict=True)
        if times[-1] <= at:
            return cls(times, ids, columns)
        end = bisect_right(times, at)
        return cls(times[:end], ids[:end], [column[:end] for column in columns], ids[end:])

    def holds(self, event_id: str | None) -> bool:
        return event_id is not None and (event_id in self.ids or event_id in self.later)

    def followed_by(self, asked: Asked) -> "_Past":
        """With the event at hand as the newest."""
        values = asked.kept or ()
        columns = [(*column, value) for column, value in zip(self.columns, values, strict=True)]
        return _Past((*self.times, asked.at), (*self.ids, asked.event_id), columns)


class _Window:
    """What was known at a moment, cut into the windows that features ask for."""

    def __init__(self, asked: Asked, past: _Past, positives: Collection[str]) -> None:
        self._at = asked.at
        self._past = past
        # its own label isn't known to an event
        self._risky = [
            place
            for place, event_id in enumerate(past.ids if positives else ())
            if event_id in positives and event_id != asked.event_id
        ]
        self._bounds_of: dict[tuple[int, int], tuple[int, int]] = {}
        self._has_gaps: dict[int, bool] = {}
        self._values_of: dict[tuple[int, int, int], Sequence[Any]] = {}

    def all(self, view: View) -> dict[str, Any]:
        found: dict[str, Any] = {a.name: self._aggregate(a) for a in view.aggregations}
        for sequence in view.sequences:
            found[sequence.name] = self._sequence(sequence)
        return found

    def _bounds(self, window: int, lag: int) -> tuple[int, int]:
        """Positions of the events in (at - lag - window, at - lag]."""
        found = self._bounds_of.get((window, lag))
        if found is None:
            end, times = self._at - lag, self._past.times
            found = bisect_right(times, end - window), bisect_right(times, end)
            self._bounds_of[window, lag] = found
        return found

    def _values(self, feature: Aggregation) -> Sequence[Any]:
        """The inputs in the window that aren't nothing, the oldest first."""
        column = self._past.columns[feature.input]
        low, high = self._bounds(feature.window, feature.lag)
        key = feature.input, low, high
        values = self._values_of.get(key)
        if values is None:
            has_gaps = self._has_gaps.get(feature.input)
            if has_gaps is None:
                has_gaps = self._has_gaps[feature.input] = None in column
            values = column[low:high]
            if has_gaps:
                values = [x for x in values if x is not None]
            self._values_of[key] = values
        return values

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
        low, high = self._bounds(feature.window, feature.lag)
        column = self._past.columns[feature.input]
        return sum(low <= place < high and column[place] is not None for place in self._risky)

    def _sequence(self, feature: SequenceFeature) -> list[list[float | None]]:
        low, high = self._bounds(feature.window, 0)
        columns = [self._past.columns[i] for i in feature.inputs]
        found: list[list[float | None]] = []
        for place in reversed(range(low, high)):
            step = [None if column[place] is None else float(column[place]) for column in columns]
            if any(x is not None for x in step):
                found.append(step)
            if len(found) == feature.length:
                break
        found.reverse()
        return found
