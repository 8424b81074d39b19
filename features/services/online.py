"""What people do with the online store: read features, switch view versions on and off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from aegisml.base.errors import FieldError, Invalid
from features import online, tasks
from features.choices import OnlineState, Policy
from features.jobs import runs
from features.log.events import microseconds
from features.ml.rows import Checker, Problem
from features.ml.schema import Schema
from features.models import FeatureSet, FeatureViewVersion
from features.online import Ask, Fetched, Plan


@dataclass(frozen=True)
class Wanted:
    """Whose features: of the entities (keys by name) of an event, given with its raw fields, or
    both; `at` is the moment, for which an event has its own time and now is the default."""

    entities: Mapping[str, Any]
    event: Mapping[str, Any] | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Answered:
    plan: Plan
    asks: Sequence[Ask]
    fetched: Sequence[Fetched]


def read(*, feature_set: FeatureSet, wanted: Sequence[Wanted], place: str = "requests") -> Answered:
    """The features of the set for each of `wanted`, with one look into the store.

    Raises `Invalid` naming each wrong part, as `requests.3.event.amount` ("" as
    `place` is for one request alone: `event.amount`), `NotReady` when the store
    can't answer.
    """
    stream = feature_set.stream
    checker = Checker(stream.schema, strict=stream.policy == Policy.STRICT)
    now = microseconds(timezone.now())
    problems: list[FieldError] = []
    asks = [
        _ask(checker, one, now, f"{place}.{i}." if place else "", problems)
        for i, one in enumerate(wanted)
    ]
    if problems:
        raise Invalid.fields(problems)
    plan = _plan(feature_set.pk)
    return Answered(plan, asks, online.fetch(plan, asks))


@lru_cache(maxsize=200)
def _plan(feature_set_id: UUID) -> Plan:
    """A set never changes, so its plan doesn't either."""
    return Plan.of(FeatureSet.objects.get(pk=feature_set_id))


def _ask(checker: Checker, one: Wanted, now: int, place: str, problems: list[FieldError]) -> Ask:
    schema = checker.schema
    keys = _keys(schema, one.entities, f"{place}entities", problems)
    if one.event is None:
        if not one.entities:
            text = "give entities, or an event"
            problems.append(FieldError(f"{place}entities", text))
        return Ask(at=now if one.at is None else microseconds(one.at), keys=keys)
    row = checker.check(one.event, now_us=now)
    for problem in row.problems:
        if not _is_label_missing(schema, problem):
            name = f"{place}event.{problem.field}" if problem.field else f"{place}event"
            problems.append(FieldError(name, problem.message))
    if one.at is not None:
        problems.append(FieldError(f"{place}at", "an event has its own time"))
    for entity, key in zip(schema.entities, row.keys, strict=False):
        if key is not None and keys.setdefault(entity, key) != key:
            text = f"differs from the event's {schema.entities[entity]}"
            problems.append(FieldError(f"{place}entities.{entity}", text))
    return Ask(at=row.event_time, keys=keys, event=row.payload, event_id=row.event_id)


def _keys(
    schema: Schema, entities: Mapping[str, Any], place: str, problems: list[FieldError]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for entity, value in entities.items():
        name = f"{place}.{str(entity)[:60]}"
        if entity not in schema.entities:
            text = f"is no entity of the stream; known: {', '.join(schema.entities)}"
            problems.append(FieldError(name, text))
        elif value is not None:
            key = schema.key_of(entity, value)
            if key is None:
                problems.append(FieldError(name, "is no key of this entity"))
            else:
                found[entity] = key
    return found


def _is_label_missing(schema: Schema, problem: Problem) -> bool:
    return problem.field == schema.label and problem.rule == "missing"


@transaction.atomic
def start_version(version: FeatureViewVersion) -> None:
    """Compute the version online from now on: each event feeds it, and its state is built from
    the log after commit."""
    version.online = OnlineState.BUILDING if version.view.entity_id else OnlineState.READY
    version.save(update_fields=["online"])
    if version.online == OnlineState.BUILDING:
        run = runs.request(version, reason="switched on")
        transaction.on_commit(lambda: tasks.materialize.delay(str(run.pk)), robust=True)


@transaction.atomic
def stop_version(version: FeatureViewVersion) -> None:
    """Compute the version online no more; its state is deleted after commit."""
    version.online = OnlineState.OFF
    version.save(update_fields=["online"])
    ids = str(version.pk), version.view.stream_id
    transaction.on_commit(lambda: tasks.delete_online_state.delay(*ids), robust=True)
