"""Whole columns of windows equal one entity at a time, whatever the order of arrival."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from features.ml import recent, shaping, windows
from features.ml.compiler import compile_view
from features.ml.definition import View
from features.ml.durations import UNITS
from features.ml.schema import Schema
from features.ml.windows import FOREVER

MINUTE, HOUR = UNITS["m"], UNITS["h"]
SCHEMA = Schema.from_json(
    {
        "fields": [
            {"name": "id", "type": "text"},
            {"name": "at", "type": "time"},
            {"name": "card", "type": "text"},
            {"name": "amount", "type": "number"},
            {"name": "place", "type": "text"},
            {"name": "fraud", "type": "boolean"},
        ],
        "event_id": "id",
        "event_time": "at",
        "entities": {"card": "card"},
        "label": "fraud",
    }
)
FEATURES = [
    {"name": "n", "aggregate": "count", "window": "10m"},
    {"name": "n_far", "aggregate": "count", "window": "10m", "where": "place == 'far'"},
    {"name": "total", "aggregate": "sum", "of": "amount", "window": "20m"},
    {"name": "mean", "aggregate": "mean", "of": "amount", "window": "20m", "default": -1},
    {"name": "spread", "aggregate": "std", "of": "amount", "window": "30m"},
    {"name": "least", "aggregate": "min", "of": "amount", "window": "10m", "lag": "3m"},
    {"name": "most", "aggregate": "max", "of": "amount", "window": "10m"},
    {"name": "newest", "aggregate": "last", "of": "amount", "window": "15m", "lag": "1m"},
    {"name": "newest_place", "aggregate": "last", "of": "place", "window": "15m"},
    {"name": "places", "aggregate": "distinct", "of": "place", "window": "30m"},
    {"name": "risk", "aggregate": "label_rate", "window": "20m", "lag": "5m", "default": 0},
    {"name": "risk_now", "aggregate": "label_rate", "window": "20m"},
    {"name": "ratio", "expression": "ratio(amount, mean)"},
    {"name": "recent", "sequence": ["amount"], "length": 3, "window": "20m"},
]


@dataclass(frozen=True)
class Event:
    id: str
    key: int
    time: int
    known: int
    seq: int
    amount: float | None
    place: str | None
    positive: tuple[int, int] | None

    @property
    def row(self) -> dict[str, Any]:
        return {"amount": self.amount, "place": self.place}


def world(seed: int, *, late: float, rows: int = 120) -> list[Event]:
    """Events of a few cards; times collide, a share arrives late, some labels come and go."""
    rng = random.Random(seed)
    drawn = []
    for i in range(rows):
        time = rng.randrange(0, 90) * MINUTE
        delay = rng.randrange(0, 40) * MINUTE if rng.random() < late else 0
        amount = None if rng.random() < 0.1 else rng.choice([0.0, 0.01, 12.5, 99.99, -3.25])
        place = rng.choice([None, "near", "far", "far"])
        drawn.append((time + delay, i, time, rng.randrange(0, 4), amount, place))
    drawn.sort(key=lambda event: event[0])
    events = []
    for seq, (known, i, time, key, amount, place) in enumerate(drawn):
        start = known + rng.randrange(0, 20) * MINUTE
        end = rng.choice([FOREVER, start + 10 * MINUTE])
        positive = (start, end) if rng.random() < 0.3 else None
        events.append(Event(f"e{i}", key, time, known, seq, amount, place, positive))
    return events


def whole_columns(
    view: View, events: list[Event], *, as_known: bool = True
) -> list[dict[str, Any]]:
    """The features of each event, in the given order, by columns."""
    ordered = sorted(events, key=lambda e: (e.key, e.time, e.known, e.seq))
    columns = {
        "amount": np.array([np.nan if e.amount is None else e.amount for e in ordered]),
        "place": np.array([e.place for e in ordered], dtype=object),
    }
    key, time, known, seq = (
        np.array([getattr(e, name) for e in ordered], dtype=np.int64)
        for name in ("key", "time", "known", "seq")
    )
    _, code = np.unique(key, return_inverse=True)
    said = [(i, *e.positive) for i, e in enumerate(ordered) if e.positive]
    spells = np.array(said, dtype=np.int64).reshape(-1, 3)
    rows = len(ordered)
    computed = windows.compute(
        view,
        windows.Events(code, time, known, seq, tuple(inputs(view, columns, rows))),
        windows.Positives(*spells.T),
        windows.Asks(code, time, known, seq, np.arange(rows)),
        as_known=as_known,
    )
    done = shaping.finish(view, computed, columns | {"event_time": time}, rows)
    lists = {name: shaping.as_arrow(view, name, done[name]).to_pylist() for name in view.names}
    found = {e.id: {name: lists[name][i] for name in view.names} for i, e in enumerate(ordered)}
    return [found[e.id] for e in events]


def inputs(view: View, columns: dict[str, Any], rows: int) -> Iterator[Any]:
    for item in view.inputs:
        values = np.ones(rows) if item.of is None else item.of.column(columns, rows)
        if item.where is not None:
            nothing = None if values.dtype == object else np.nan
            values = np.where(item.where.column(columns, rows) == 1, values, nothing)
        yield values


def one_by_one(view: View, events: list[Event], *, as_known: bool = True) -> list[dict[str, Any]]:
    found = []
    for ask in events:
        known = [
            e
            for e in events
            if e.key == ask.key and (not as_known or (e.known, e.seq) <= (ask.known, ask.seq))
        ]
        stored = [[e.time, (e.known, e.seq), e.id, *recent.inputs(view, e.row)] for e in known]
        stored = [[row[0], i, *row[2:]] for i, row in enumerate(sorted(stored, key=lambda r: r[1]))]
        positives = {
            e.id
            for e in known
            if e.positive
            and (
                e.positive[0] <= ask.known < e.positive[1] if as_known else e.positive[1] == FOREVER
            )
        }
        answer = recent.answer(
            view, at=ask.time, events=stored, positives=positives, event=ask.row, event_id=ask.id
        )
        found.append({name: value.value for name, value in answer.values.items()})
    return found


@pytest.mark.parametrize("ttl", [None, "12m"])
@pytest.mark.parametrize("late", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("as_known", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_columns_equal_one_by_one(seed: int, late: float, ttl: str | None, as_known: bool) -> None:
    view = compile_view({"entity": "card", "ttl": ttl, "features": FEATURES}, SCHEMA)
    events = world(seed, late=late)
    found = whole_columns(view, events, as_known=as_known)
    wanted = one_by_one(view, events, as_known=as_known)
    for event, got, expected in zip(events, found, wanted, strict=True):
        for name in view.names:
            assert got[name] == (
                pytest.approx(expected[name], rel=1e-9, abs=1e-9)
                if isinstance(expected[name], float)
                else expected[name]
            ), (event, name)


def test_outliers_of_one_entity_leave_the_sums_of_others_exact() -> None:
    view = compile_view({"entity": "card", "features": [FEATURES[2], FEATURES[3]]}, SCHEMA)
    huge = [
        Event(f"h{i}", 0, i * MINUTE, i * MINUTE, i, 1e15 + i / 7, "x", None) for i in range(50)
    ]
    small = [Event(f"s{i}", 1, i * MINUTE, i * MINUTE, 50 + i, 0.01, "x", None) for i in range(50)]
    found = whole_columns(view, huge + small)
    wanted = one_by_one(view, huge + small)
    for got, expected in zip(found, wanted, strict=True):
        assert got["total"] == pytest.approx(expected["total"], rel=1e-9)
        assert got["mean"] == pytest.approx(expected["mean"], rel=1e-9)
