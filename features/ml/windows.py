"""Windowed features of many entities at once: what the offline store computes.

Events and asks are sorted by (key, time, known, seq), so that a window is a
slice. Counts and sums come from running totals when all of the slice was
known at the ask; anything else from the pairs (ask, event) of the slice. The
meaning is that of `recent.answer`, entity by entity; a test holds them together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ml.definition import EMPTY, Aggregation, Sequence, View
from features.ml.pairs import expanded, reduce, running_max

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]

FOREVER = np.iinfo(np.int64).max
# Running totals are trusted while their rounding is below this share of the smallest value.
PRECISION = 1e-9
_SUMMED = frozenset({"count", "sum", "mean", "label_rate"})


@dataclass(frozen=True)
class Events:
    """Known events, sorted by (key, time, known, seq). `key` counts from 0; `inputs` are the
    view's: float64 with NaN, or objects with None, for nothing."""

    key: Ints
    time: Ints
    known: Ints
    seq: Ints
    inputs: tuple[Column, ...]


@dataclass(frozen=True)
class Asks:
    """Moments asked about, sorted likewise. What is known is what arrived up to (known, seq), and
    the ask's own event, whose position `own` is (or -1)."""

    key: Ints
    time: Ints
    known: Ints
    seq: Ints
    own: Ints


@dataclass(frozen=True)
class Positives:
    """Stretches [start, end) of known time in which an event counts as confirmed risk."""

    event: Ints
    start: Ints
    end: Ints


@dataclass(frozen=True)
class Lists:
    """Sequences of the asks: `steps` (m, inputs) of all asks behind each other; ask i has the
    rows offsets[i]:offsets[i + 1]."""

    offsets: Ints
    steps: Floats


def compute(
    view: View, events: Events, positives: Positives, asks: Asks, *, as_known: bool = True
) -> dict[str, Column | Lists]:
    """The view's aggregations, each of shape (len(asks),) with NaN or None for null, and
    sequences, before defaults. With `as_known` false, what arrived after an ask counts too."""
    frame = _Frame(view, events, positives, asks, as_known=as_known)
    found: dict[str, Column | Lists] = {}
    for aggregation in view.aggregations:
        found[aggregation.name] = frame.aggregate(aggregation)
    for sequence in view.sequences:
        found[sequence.name] = frame.sequence(sequence)
    return found


def over_nothing(aggregation: Aggregation, rows: int) -> Column:
    """What an aggregation gives, before its default, for asks without any event."""
    if aggregation.kind == "category":
        return np.full(rows, None, dtype=object)
    value = EMPTY.get(aggregation.function) if aggregation.default is None else None
    return np.full(rows, np.nan if value is None else value)


def is_something(values: Column) -> Mask:
    """Where an input isn't nothing."""
    if values.dtype == object:
        return np.array([value is not None for value in values], dtype=bool)
    return ~np.isnan(values)


class _Frame:
    """One chunk of whole entities. Positions in it are found in one number line: each key has a
    stretch of it, long enough that no window reaches the neighbor's."""

    def __init__(
        self, view: View, events: Events, positives: Positives, asks: Asks, *, as_known: bool
    ) -> None:
        self._view = view
        self._events = events
        self._positives = positives
        self._asks = asks
        self._as_known = as_known
        times = np.concatenate([events.time, asks.time])
        self._low = int(times.min()) if len(times) else 0
        self._high = int(times.max()) if len(times) else 0
        self._span = self._high - self._low + 3
        self._line = events.key * self._span + (events.time - self._low)
        self._found: dict[int, Ints] = {}
        self._start = np.searchsorted(events.key, asks.key)
        self._end = self._upto(0)
        if as_known:
            # what follows the own event at the same time arrived later
            self._end = np.where(asks.own >= 0, asks.own + 1, self._end)
        self._muddled = np.flatnonzero(~self._is_clean()) if as_known else np.empty(0, np.intp)
        self._valid: dict[int, Mask] = {}
        self._counts: dict[int, Ints] = {}
        self._bounds: dict[tuple[int, int], tuple[Ints, Ints]] = {}
        self._expired = self._find_expired()

    # --- where a window begins and ends ---

    def _upto(self, back: int) -> Ints:
        """The position after the last event at or before (ask - back), for each ask."""
        if back not in self._found:
            self._found[back] = self._search(back)
        return self._found[back]

    def _search(self, back: int) -> Ints:
        moment = np.clip(self._asks.time - back - self._low, -1, self._high - self._low)
        found: Ints = np.searchsorted(self._line, self._asks.key * self._span + moment, "right")
        return found

    def _slice(self, window: int, lag: int) -> tuple[Ints, Ints]:
        key = (window, lag)
        if key not in self._bounds:
            end = self._end if lag == 0 else np.minimum(self._upto(lag), self._end)
            self._bounds[key] = np.minimum(self._upto(lag + window), end), end
        return self._bounds[key]

    def _is_clean(self) -> Mask:
        """Whether all that happened up to an ask, its own event aside, was known by then."""
        events, asks = self._events, self._asks
        before = np.where(asks.own >= 0, asks.own, self._end)
        some = before > self._start
        last = np.maximum(before - 1, 0)
        if not len(events.key):
            return ~some
        known = running_max(events.key, events.known)[last]
        seq = running_max(events.key, events.seq)[last]
        clean: Mask = ~some | (known < asks.known) | ((known == asks.known) & (seq <= asks.seq))
        return clean

    def _find_expired(self) -> Mask:
        """Asks whose entity has no known event within the ttl."""
        if self._view.ttl is None:
            return np.zeros(len(self._asks.key), dtype=bool)
        start = np.minimum(self._upto(self._view.ttl + 1), self._end)
        count = self._end - start
        for asks, _, segment in self._pairs(self._muddled, start, self._end):
            count[asks] = np.bincount(segment, minlength=len(asks))
        nothing: Mask = count == 0
        return nothing

    # --- aggregations ---

    def aggregate(self, aggregation: Aggregation) -> Column:
        start, end = self._slice(aggregation.window, aggregation.lag)
        values = self._events.inputs[aggregation.input]
        if aggregation.function in _SUMMED and self._are_sums_exact(aggregation, values):
            found = self._from_totals(aggregation, start, end)
            slow = self._muddled
        elif aggregation.function == "last":
            found = self._newest(aggregation, start, end)
            slow = self._muddled
        else:
            found = over_nothing(aggregation, len(start))
            slow = np.arange(len(start))
        self._from_pairs(aggregation, slow, start, end, found)
        if aggregation.function == "label_rate":
            found = self._rate(aggregation, found)
        found[self._expired] = over_nothing(aggregation, 1)[0]
        return found

    def _are_sums_exact(self, aggregation: Aggregation, values: Column) -> bool:
        if aggregation.function in ("count", "label_rate"):
            return True
        size = np.abs(values[self._something(aggregation.input)])
        if not len(size):
            return True
        rounding = float(np.finfo(np.longdouble).eps) * float(size.sum(dtype=np.float64))
        return bool(rounding <= PRECISION * float(size.min(initial=np.inf, where=size > 0)))

    def _from_totals(self, aggregation: Aggregation, start: Ints, end: Ints) -> Floats:
        count = self._count(aggregation.input, start, end)
        if aggregation.function in ("count", "label_rate"):
            return self._nothing_where(count == 0, aggregation, count.astype(np.float64))
        totals = np.zeros(len(self._events.key) + 1, dtype=np.longdouble)
        np.cumsum(
            np.where(
                self._something(aggregation.input), self._events.inputs[aggregation.input], 0.0
            ),
            dtype=np.longdouble,
            out=totals[1:],
        )
        sums = totals[end] - totals[start]
        if aggregation.function == "mean":
            sums = sums / np.maximum(count, 1)
        found = sums.astype(np.float64)
        found[~np.isfinite(found)] = np.nan
        return self._nothing_where(count == 0, aggregation, found)

    def _nothing_where(self, empty: Mask, aggregation: Aggregation, values: Floats) -> Floats:
        nothing: Floats = over_nothing(aggregation, 1)
        return np.where(empty, nothing[0], values)

    def _something(self, number: int) -> Mask:
        if number not in self._valid:
            self._valid[number] = is_something(self._events.inputs[number])
        return self._valid[number]

    def _count(self, number: int, start: Ints, end: Ints) -> Ints:
        """How many inputs of the slice aren't nothing."""
        if self._something(number).all():
            return end - start
        if number not in self._counts:
            self._counts[number] = np.concatenate([[0], np.cumsum(self._something(number))])
        return self._counts[number][end] - self._counts[number][start]

    def _newest(self, aggregation: Aggregation, start: Ints, end: Ints) -> Column:
        values = self._events.inputs[aggregation.input]
        found = over_nothing(aggregation, len(start))
        if len(values):
            places = np.where(self._something(aggregation.input), np.arange(len(values)), -1)
            newest = np.maximum.accumulate(places)[np.maximum(end - 1, 0)]
            there = (newest >= start) & (end > start)
            found[there] = values[newest[there]]
        return found

    def _from_pairs(
        self, aggregation: Aggregation, asks: npt.NDArray[np.intp], start: Ints, end: Ints,
        found: Column,
    ) -> None:  # fmt: skip
        values = self._events.inputs[aggregation.input]
        something = self._something(aggregation.input)
        nothing = over_nothing(aggregation, 1)[0]
        for group, events, segment in self._pairs(asks, start, end):
            keep = something[events]
            found[group] = nothing
            if keep.any():
                rows, results = reduce(aggregation.function, segment[keep], values[events[keep]])
                found[group[rows]] = results

    def _rate(self, aggregation: Aggregation, count: Floats) -> Floats:
        events, positives, asks = self._events, self._positives, self._asks
        line = asks.key * self._span + (asks.time - self._low)
        keys, moments = events.key[positives.event], events.time[positives.event] - self._low
        limit = self._high - self._low + 1
        first, last = (
            np.searchsorted(line, keys * self._span + np.minimum(moments + back, limit))
            for back in (aggregation.lag, aggregation.lag + aggregation.window)
        )
        frauds = np.zeros(len(asks.key))
        something = self._something(aggregation.input)
        for spells, place, segment in expanded(np.arange(len(first)), first, last):
            spell = spells[segment]
            event = positives.event[spell]
            counts = something[event] & (asks.own[place] != event)
            if self._as_known:
                counts &= positives.start[spell] <= asks.known[place]
                counts &= asks.known[place] < positives.end[spell]
                counts &= self._is_known(event, place)
            else:
                counts &= positives.end[spell] == FOREVER
            frauds += np.bincount(place[counts], minlength=len(frauds))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count > 0, frauds / count, np.nan)

    # --- sequences ---

    def sequence(self, sequence: Sequence) -> Lists:
        columns = [self._events.inputs[number] for number in sequence.inputs]
        some = np.logical_or.reduce([self._something(number) for number in sequence.inputs])
        rank = np.concatenate([[0], np.cumsum(some)])
        places = np.flatnonzero(some)
        start, end = self._slice(sequence.window, 0)
        last = rank[end]
        first = np.maximum(rank[start], last - sequence.length)
        chosen = [places[a:b] for a, b in zip(first, last, strict=True)]
        for group, events, segment in self._pairs(self._muddled, start, end):
            for i, ask in enumerate(group):
                own = events[segment == i]
                chosen[ask] = own[some[own]][-sequence.length :]
        rows = np.concatenate(chosen) if chosen else np.empty(0, np.intp)
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in chosen])]).astype(np.int64)
        return Lists(offsets, np.column_stack([column[rows] for column in columns]))

    # --- pairs of asks and the events in their slices ---

    def _pairs(
        self, asks: npt.NDArray[np.intp], start: Ints, end: Ints
    ) -> Iterator[tuple[npt.NDArray[np.intp], Ints, Ints]]:
        """Blocks of (asks, event positions, which of the block's asks each belongs to)."""
        for group, events, segment in expanded(asks, start[asks], end[asks]):
            if not self._as_known:
                yield group, events, segment
                continue
            known = self._is_known(events, group[segment])
            yield group, events[known], segment[known]

    def _is_known(self, event: Ints, ask: Ints) -> Mask:
        known, cutoff = self._events.known[event], self._asks.known[ask]
        same: Mask = (known == cutoff) & (self._events.seq[event] <= self._asks.seq[ask])
        found: Mask = (known < cutoff) | same | (event == self._asks.own[ask])
        return found
