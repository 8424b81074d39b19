"""What a view version computes: one definition, executed offline and online.

A view reads one stream. Its aggregations look back from a moment `t` over the
events of one entity in (t - lag - window, t - lag]; its transforms work on the
event at hand and on the aggregations; its sequences are the newest events.
A view without an entity has transforms only.

As JSON (and YAML)::

    {"ttl": "30d", "where": "status == 'ok'", "features": [
      {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
      {"name": "risk_7d", "aggregate": "label_rate", "window": "7d", "lag": "7d", "default": 0},
      {"name": "ratio", "expression": "ratio(amount, mean_7d)"},
      {"name": "last_5", "sequence": ["amount"], "length": 5, "window": "30d"}]}
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from features.ml.expressions import Expression
from features.ml.schema import Schema

Function = Literal["count", "sum", "mean", "std", "min", "max", "last", "distinct", "label_rate"]
ResultKind = Literal["numeric", "boolean", "category", "sequence"]
Default = float | bool | str | None

# What a function gives over no events at all; the others give null.
EMPTY: dict[str, float] = {"count": 0.0, "sum": 0.0, "distinct": 0.0}


@dataclass(frozen=True)
class Input:
    """What an aggregation reads of each event: `of` where `where` holds, else nothing.

    Without `of` it is 1. Missing values are nothing too. Two aggregations with
    equal texts share one input.
    """

    of: Expression | None
    where: Expression | None

    @property
    def key(self) -> tuple[str, str]:
        return (self.of.text if self.of else "", self.where.text if self.where else "")


@dataclass(frozen=True)
class Aggregation:
    """One windowed feature. `input` is a position in the view's `inputs`; window and lag are in
    microseconds."""

    name: str
    function: Function
    input: int
    window: int
    lag: int
    kind: ResultKind
    default: Default

    @property
    def empty(self) -> Default:
        """The value over no events."""
        return self.default if self.default is not None else EMPTY.get(self.function)


@dataclass(frozen=True)
class Transform:
    """A feature of the event at hand and of the view's aggregations."""

    name: str
    expression: Expression
    kind: ResultKind
    default: Default


@dataclass(frozen=True)
class Sequence:
    """The newest `length` events of the window, oldest first: one list a row, with a number per
    input; `inputs` are positions in the view's `inputs`."""

    name: str
    inputs: tuple[int, ...]
    length: int
    window: int
    kind: ResultKind = "sequence"
    default: Default = None


Feature = Aggregation | Transform | Sequence


@dataclass(frozen=True)
class View:
    """A compiled definition. `entity_field` holds the entity's key in an event; `ttl` is in
    microseconds; `features` keeps the declared order."""

    schema: Schema
    entity: str | None
    ttl: int | None
    where: Expression | None
    inputs: tuple[Input, ...]
    features: tuple[Feature, ...]

    @property
    def entity_field(self) -> str | None:
        return self.schema.entities[self.entity] if self.entity else None

    @cached_property
    def aggregations(self) -> tuple[Aggregation, ...]:
        return tuple(f for f in self.features if isinstance(f, Aggregation))

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        return tuple(f for f in self.features if isinstance(f, Transform))

    @cached_property
    def sequences(self) -> tuple[Sequence, ...]:
        return tuple(f for f in self.features if isinstance(f, Sequence))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features)

    @cached_property
    def horizon(self) -> int:
        """How far back any feature looks, in microseconds; 0 without an entity."""
        reach = [a.window + a.lag for a in self.aggregations]
        reach += [s.window for s in self.sequences]
        return max(reach, default=0)

    @cached_property
    def reach(self) -> int:
        """How old an event may be that counts: for a feature, or for the state of its entity."""
        return max(self.horizon, self.ttl or 0)

    @cached_property
    def reads_labels(self) -> bool:
        return any(a.function == "label_rate" for a in self.aggregations)

    @cached_property
    def historic(self) -> frozenset[str]:
        """The features that the entity's past goes into."""
        found: set[str] = set()
        for feature in self.features:
            if isinstance(feature, Transform) and found.isdisjoint(feature.expression.names):
                continue
            found.add(feature.name)
        return frozenset(found)

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of an event (and `event_time`) that any part of the view reads."""
        used: set[str] = set()
        for item in self.inputs:
            used |= item.of.names if item.of else frozenset()
            used |= item.where.names if item.where else frozenset()
        for transform in self.transforms:
            used |= transform.expression.names
        used |= self.where.names if self.where else frozenset()
        return frozenset(used & self.schema.kinds.keys())
