"""An entity with too many events to look at one by one is answered from sums of them.

Redis keeps sums of stretches of time ("tiles") and adds up those of a window;
`tiles.lua` says how. Only the number of different values is an estimate then,
once there are more than 256 of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from features.ml import recent
from features.ml.definition import Aggregation, View
from features.ml.recent import Answer, Asked
from features.online.asks import Approximate

SKETCH = 256
DISTINCT_ERROR = 1 / math.sqrt(SKETCH - 2)  # relative standard error of k minimum values
_LAST = 2**53 - 1  # the sequence number of an event that the store doesn't hold yet
_MEASURED = frozenset({"sum", "mean", "std", "min", "max"})
_N, _MEAN, _M2, _SUM, _LOW, _HIGH, _RISK, _DISTINCT, _NEWEST = range(9)


@dataclass(frozen=True)
class Wanted:
    """What Redis is to sum up for a view, and how it is told so."""

    windows: Mapping[tuple[int, int], int]  # (window, lag): its place
    text: bytes

    @classmethod
    def of(cls, view: View) -> "Wanted":
        pairs = dict.fromkeys((a.window, a.lag) for a in view.aggregations)
        uses = [
            {a.function for a in view.aggregations if a.input == i} for i in range(len(view.inputs))
        ]
        request = {
            "inputs": [
                {"numeric": not use.isdisjoint(_MEASURED), "distinct": "distinct" in use}
                for use in uses
            ],
            "windows": list(pairs),
            "sequences": [
                {"inputs": s.inputs, "length": s.length, "window": s.window} for s in view.sequences
            ],
        }
        return cls({pair: place for place, pair in enumerate(pairs)}, orjson.dumps(request))


def own_member(asked: Asked) -> bytes:
    """The event at hand as the store would hold it; empty without one."""
    if asked.kept is None:
        return b""
    return orjson.dumps([asked.at, _LAST, asked.event_id, *asked.kept])


def answer(
    view: View, wanted: Wanted, asked: Asked, found: Mapping[str, Any]
) -> tuple[Answer, Approximate]:
    """The view's features from what `tiles.lua` found."""
    windows = found["windows"]
    computed: dict[str, Any] = {}
    error = 0.0
    for aggregation in view.aggregations:
        summed = windows[wanted.windows[aggregation.window, aggregation.lag]][aggregation.input]
        computed[aggregation.name] = _value(aggregation, summed)
        if aggregation.function == "distinct" and summed[_DISTINCT] >= SKETCH - 1:
            error = DISTINCT_ERROR
    for sequence, rows in zip(view.sequences, found["rows"], strict=True):
        alone = replace(view, features=(sequence,), ttl=None)
        looked = recent.answer_to(alone, asked, rows, ())
        computed[sequence.name] = looked.values[sequence.name].value
    as_of = found["newest"] if asked.kept is None else asked.at
    is_old = view.ttl is not None and as_of < asked.at - view.ttl
    state = recent.EXPIRED if is_old else recent.PRESENT
    values = recent.finish(view, at=asked.at, event=asked.event, state=state, computed=computed)
    return Answer(values, as_of), Approximate(events=found["events"], distinct_error=error)


def _value(aggregation: Aggregation, summed: Sequence[Any]) -> Any:
    """An aggregation before its default; an overflow is null."""
    n = summed[_N]
    if n == 0:
        return recent.over_nothing(aggregation)
    match aggregation.function:
        case "count":
            return float(n)
        case "label_rate":
            return summed[_RISK] / n
        case "last":
            newest = summed[_NEWEST]
            return float(newest) if aggregation.kind == "numeric" else newest
        case "distinct":
            return float(round(summed[_DISTINCT]))
        case "std":
            m2 = summed[_M2]
            return None if m2 is None else math.sqrt(max(m2, 0.0) / n)
    place = {"sum": _SUM, "mean": _MEAN, "min": _LOW, "max": _HIGH}[aggregation.function]
    value = summed[place]
    return None if value is None else float(value)
