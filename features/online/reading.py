"""Features come out of the store, in one round trip."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import redis
import structlog

from aegisml.base.errors import NotReady
from features.ml import recent
from features.ml.definition import View
from features.ml.recent import Answer, Asked
from features.online import client, keys, tiles
from features.online.asks import Approximate, Ask, Fetched, ViewState
from features.online.client import Command, Reply
from features.online.live import Target
from features.online.plan import Plan

BUDGET = 2_500  # events of hot entities that Redis may sum up in one go: some 20 ms of its time
PATIENCE = 0.3  # seconds for as many goes as it takes
_BUSY = b'"busy"'

log = structlog.get_logger(__name__)


def fetch(plan: Plan, asks: Sequence[Ask]) -> list[Fetched]:
    """Compute the features of `plan` for each of `asks`.

    Raises `NotReady` when the store can't be reached or isn't complete for a
    version: an answer never is silently empty.
    """
    stored = [part.target for part in plan.parts if part.target.entity is not None]
    limits = [plan.max_exact, BUDGET // max(1, len(asks) * len(stored))]
    asked: list[Asked] = []
    reads: list[Command] = []
    for ask in asks:
        for target in stored:
            key = ask.keys.get(target.entity or "")
            if key is not None:
                asked.append(_asked(target.view, ask))
                reads.append(_read(target, asked[-1], key, limits))
    # The markers are asked for last: a Redis that is emptied meanwhile can't have them.
    markers: list[Command] = [[b"EXISTS", keys.ready(target.prefix)] for target in stored]
    replies = _exchange([*reads, *markers])
    for target, marked in zip(stored, replies[len(reads) :], strict=True):
        if marked != 1:
            raise NotReady(f"The online state of {target.label} is not built yet.", retry_after=5)
    rows = zip(asked, _finished(reads, replies[: len(reads)]), strict=True)
    return [_answered(plan, ask, rows) for ask in asks]


def _finished(reads: Sequence[Command], found: list[Reply]) -> list[Reply]:
    """The replies, once Redis has summed up entities with very many events.

    It does so in small steps, between which it serves others, and only when such an entity
    wasn't read for long: what was summed up is kept.
    """
    deadline = time.monotonic() + PATIENCE
    while waiting := [i for i, reply in enumerate(found) if reply == _BUSY]:
        if time.monotonic() > deadline:
            raise NotReady("Very many events are being summed up.", retry_after=1)
        for i, reply in zip(waiting, _exchange([reads[i] for i in waiting]), strict=True):
            found[i] = reply
    return found


def _exchange(commands: Sequence[Command]) -> list[Reply]:
    if not commands:
        return []
    try:
        return client.exchange(commands, timeout=client.READ_TIMEOUT)
    except redis.RedisError as error:
        log.warning("features can't be read", error=type(error).__name__)
        raise NotReady("The online store is not reachable.", retry_after=2) from None


def _asked(view: View, ask: Ask) -> Asked:
    return Asked.of(view, at=ask.at, event=ask.event, event_id=ask.event_id)


def _read(target: Target, asked: Asked, key: str, limits: list[int]) -> Command:
    entity = keys.entity_prefix(target.prefix, key)
    parts = "etl" if target.reads_labels else "et"
    arguments: list[client.Part] = [
        asked.at,
        asked.at - target.horizon,
        asked.at - target.keep,
        *limits,
        target.wanted.text,
        tiles.own_member(asked),
    ]
    return client.READ.call([entity + part for part in parts], arguments)


def _answered(plan: Plan, ask: Ask, rows: Iterator[tuple[Asked, Reply]]) -> Fetched:
    fetched = Fetched(values={}, statuses={}, views={})
    for part in plan.parts:
        target = part.target
        answer, rough = _answer(target, ask, rows)
        for name in part.names:
            fetched.values[name], fetched.statuses[name] = answer.values[name]
        age = None if answer.as_of is None else ask.at - answer.as_of
        fetched.views[target.label] = state = ViewState(as_of=answer.as_of, age=age)
        if rough is not None:
            state["approximate"] = rough
    return fetched


def _answer(
    target: Target, ask: Ask, rows: Iterator[tuple[Asked, Reply]]
) -> tuple[Answer, Approximate | None]:
    view = target.view
    if target.entity is None:
        return recent.answer_to(view, _asked(view, ask), (), ()), None
    if ask.keys.get(target.entity) is None:
        return _of_nobody(view, ask), None
    asked, reply = next(rows)
    found = orjson.loads(reply)
    if isinstance(found, dict):
        return tiles.answer(view, target.wanted, asked, found)
    events, positives = found
    return recent.answer_to(view, asked, events, set(positives)), None


def _of_nobody(view: View, ask: Ask) -> Answer:
    """Without an entity's key there is no past; what is of the event alone is there."""
    computed: dict[str, Any] = {a.name: recent.over_nothing(a) for a in view.aggregations}
    computed |= {sequence.name: [] for sequence in view.sequences}
    values = recent.finish(
        view, at=ask.at, event=ask.event, state=recent.NOT_FOUND, computed=computed
    )
    return Answer(values, None)
