"""Raw events become rows that a model takes: checked, and completed from the online store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from aegisml.base.errors import FieldError, Invalid
from features import online
from features.choices import Policy
from features.log.events import microseconds, moment
from features.ml.durations import SECOND
from features.ml.rows import Checked, Checker
from features.models import FeatureSet
from features.online import Ask, Fetched, Plan
from models_app.errors import BundleRefused
from models_app.ml.signature import Feature, Signature

# Events of one round trip. Redis does nothing else meanwhile, and must be done before the store's
# time limit, also when each entity has thousands of events.
AT_ONCE = 100
MAX_NAMED = 50
_Row = dict[str, Any]


@dataclass(frozen=True)
class Completed:
    """A row of features for each event, and what its receipt tells about where they are from."""

    rows: list[_Row]
    contexts: list[_Row]


@dataclass(frozen=True)
class Reader:
    """Completes events for one model version; no database is asked.

    `rules_of` is when the stream last changed: its rules for events may grow
    while a version serves.
    """

    plan: Plan
    checker: Checker
    stream: str
    rules_of: datetime
    features: tuple[Feature, ...]

    @classmethod
    def of(cls, feature_set: FeatureSet, signature: Signature) -> "Reader":
        """Raises `BundleRefused` when `signature` wants what neither the set nor an event has."""
        stream = feature_set.stream
        reader = cls(
            plan=Plan.of(feature_set),
            checker=Checker(stream.schema, strict=stream.policy == Policy.STRICT),
            stream=stream.name,
            rules_of=stream.updated_at,
            features=signature.features,
        )
        given = reader._given()
        lacking = [f.name for f in signature.features if not _fits(f.kind, given.get(f.name))]
        if lacking:
            names = ", ".join(sorted(lacking)[:10])
            raise BundleRefused(f"feature set {feature_set} does not give what they take: {names}")
        return reader

    def complete(self, events: Sequence[Mapping[str, Any]], *, places: Sequence[str]) -> Completed:
        """The features at each event's own time, with one look into the store per `AT_ONCE` events.

        `places` are the events' names in the request. Raises `Invalid` naming
        each wrong field, as `event.amount`, and `NotReady` when the store can't
        answer.
        """
        now = microseconds(timezone.now())
        checked = [self.checker.check(event, now_us=now) for event in events]
        self._refuse_wrong(checked, places)
        for one in checked:  # what it turned out to be isn't known when it is scored
            one.payload.pop(self.checker.schema.label or "", None)
        asks = [self._ask(one) for one in checked]
        fetched: list[Fetched] = []
        for start in range(0, len(asks), AT_ONCE):
            fetched += online.fetch(self.plan, asks[start : start + AT_ONCE])
        return Completed(
            rows=[self._row(one, found) for one, found in zip(checked, fetched, strict=True)],
            contexts=[self._context(one, f) for one, f in zip(checked, fetched, strict=True)],
        )

    def _given(self) -> dict[str, str]:
        """The kind of each value that a row can have, by name."""
        schema = self.checker.schema
        given: dict[str, str] = {f.name: f.kind for f in schema.fields if f.name != schema.label}
        for part in self.plan.parts:
            given |= {f.name: f.kind for f in part.target.view.features if f.name in part.names}
        return given

    def _refuse_wrong(self, checked: Sequence[Checked], places: Sequence[str]) -> None:
        label = self.checker.schema.label
        problems = [
            FieldError(f"{place}.{problem.field}" if problem.field else place, problem.message)
            for place, one in zip(places, checked, strict=True)
            for problem in one.problems
            if problem.field != label
        ]
        if problems:
            raise Invalid.fields(problems[:MAX_NAMED])

    def _ask(self, one: Checked) -> Ask:
        named = zip(self.checker.schema.entities, one.keys, strict=True)
        return Ask(
            at=one.event_time,
            keys={entity: key for entity, key in named if key is not None},
            event=one.payload,
            event_id=one.event_id,
        )

    def _row(self, one: Checked, fetched: Fetched) -> _Row:
        row: _Row = {}
        for feature in self.features:
            name = feature.name
            is_own = name not in self.plan.version_of
            value = one.payload.get(name) if is_own else fetched.values[name]
            if feature.kind == "numeric" and type(value) is bool:
                value = float(value)
            row[name] = value
        return row

    def _context(self, one: Checked, fetched: Fetched) -> _Row:
        version_of = self.plan.version_of
        return {
            "feature_set": self.plan.feature_set,
            "stream": self.stream,
            "event_id": one.event_id,
            "event_time": moment(one.event_time).isoformat(),
            "event": one.payload,
            "features": {
                feature.name: {
                    "version": version_of[feature.name],
                    "status": fetched.statuses[feature.name],
                }
                for feature in self.features
                if feature.name in version_of
            },
            "views": {label: _shown(state) for label, state in fetched.views.items()},
        }


def _fits(wanted: str, given: str | None) -> bool:
    """Whether values of a kind can be an input of a kind: numbers and booleans are alike."""
    if wanted in ("category", "sequence"):
        return given == wanted
    return given in ("numeric", "boolean")


def _shown(state: online.ViewState) -> _Row:
    as_of, age = state["as_of"], state["age"]
    shown: _Row = {
        "as_of": None if as_of is None else moment(as_of).isoformat(),
        "age_seconds": None if age is None else age / SECOND,
    }
    if "approximate" in state:
        shown["approximate"] = state["approximate"]
    return shown
