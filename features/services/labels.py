"""Statements about how events turned out: recorded, reversed, brought to the online store."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import redis
import structlog
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from aegisml.base import audit
from aegisml.base.errors import Conflict
from features.jobs import labelling
from features.models import EventKey, Label, PredictionEvent, Stream

log = structlog.get_logger(__name__)

MAX_STATEMENTS = 10_000
SHOWN_ERRORS = 100
_Event = tuple[int, str]  # the stream's key and the event's id
_NO_EVENT: _Event = (0, "")


@dataclass(frozen=True)
class NewLabel:
    """One statement about an event, named either by its stream and id or by a prediction that was
    made for it. `external_id` is the sender's own id of the statement."""

    source: str
    disposition: str
    stream: str = ""
    event_id: str = ""
    prediction_id: UUID | None = None
    external_id: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        if bool(self.stream and self.event_id) == (self.prediction_id is not None):
            raise ValueError("a label is about an event of a stream, or about a prediction")


@dataclass(frozen=True)
class StatementError:
    """Why a statement was refused; `index` is its place in the request, from 0."""

    index: int
    field: str
    message: str


@dataclass(frozen=True)
class Recorded:
    """What became of the statements: accepted + duplicates + rejected are all of them.

    `waiting` of the accepted are about predictions whose event isn't known
    yet; they count once it is. `errors` are the first 100.
    """

    accepted: int
    duplicates: int
    rejected: int
    waiting: int
    ids: tuple[UUID, ...]
    errors: tuple[StatementError, ...]


def record(*, actor: User, statements: Sequence[NewLabel]) -> Recorded:
    """Add statements that are new; one whose source and external id are there changes nothing.

    A statement about an event that isn't logged is refused: labels come after
    their events. One about a prediction waits for it.
    """
    with transaction.atomic():
        checked = _Checked(actor, statements)
        made = _insert(checked.rows)
        _audit(actor, made)
        transaction.on_commit(lambda: _bring(made))
    return Recorded(
        accepted=len(made),
        duplicates=len(statements) - len(checked.errors) - len(made),
        rejected=len(checked.errors),
        waiting=sum(not label.event_id for label in made),
        ids=tuple(label.pk for label in made),
        errors=tuple(checked.errors[:SHOWN_ERRORS]),
    )


def reverse(*, label: Label, actor: User, comment: str) -> Label:
    """Take a statement back: it counts until now, and no more. Raises `Conflict` when it was
    taken back already, or is a reversal itself."""
    if label.reverses_id is not None:
        raise Conflict("A reversal can't be reversed; record the label again.")
    try:
        with transaction.atomic():
            made = Label.objects.create(
                stream_id=label.stream_id,
                event_id=label.event_id,
                prediction_id=label.prediction_id,
                source=label.source,
                disposition=label.disposition,
                reverses=label,
                comment=comment,
                recorded_by=actor,
            )
            audit.record(actor=actor, row=label, what=f"Reversed. {comment}".strip())
            transaction.on_commit(lambda: _bring([made]))
    except IntegrityError:
        raise Conflict("The label was reversed already.") from None
    return made


@transaction.atomic
def link(pairs: Iterable[tuple[UUID, str, str]]) -> None:
    """Note which event a prediction was about: (prediction_id, stream's name, event_id).

    Labels that wait for these predictions count from now on. A prediction that
    is known already stays as it is, and streams that are unknown are left out.
    """
    given = list(pairs)
    names = {name for _, name, _ in given}
    streams = {stream.name: stream for stream in Stream.objects.filter(name__in=names)}
    rows = [
        PredictionEvent(prediction_id=prediction, stream=streams[name], event_id=event_id)
        for prediction, name, event_id in given
        if name in streams
    ]
    PredictionEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    filled = labelling.fill_in_events([row.prediction_id for row in rows])
    transaction.on_commit(lambda: _bring_events(filled))


class _Checked:
    """Statements compared with what is known: `rows` to be added, `errors` for those refused."""

    def __init__(self, actor: User, statements: Sequence[NewLabel]) -> None:
        self.rows: list[Label] = []
        self.errors: list[StatementError] = []
        names = {new.stream for new in statements if new.stream}
        self._streams = {s.name: s.pk for s in Stream.objects.filter(name__in=names)}
        self._linked = _linked(new.prediction_id for new in statements if new.prediction_id)
        named = {(self._streams.get(new.stream, 0), new.event_id) for new in statements}
        self._logged = _logged(named | set(self._linked.values()))
        self._told = _told(new for new in statements if new.external_id)
        now = timezone.now()
        for index, new in enumerate(statements):
            # a microsecond apart: of two words about one event, the one below is the newer
            label = self._label(new, actor, now + timedelta(microseconds=index))
            problem = self._problem(new, label)
            if problem is not None:
                self.errors.append(StatementError(index, *problem))
            elif not new.external_id or self._is_first(label):
                self.rows.append(label)

    def _label(self, new: NewLabel, actor: User, known: datetime) -> Label:
        event = (self._streams.get(new.stream, 0), new.event_id)
        if new.prediction_id is not None:
            event = self._linked.get(new.prediction_id, _NO_EVENT)
        stream_id, event_id = event if event in self._logged else _NO_EVENT
        return Label(
            stream_id=stream_id or None,
            event_id=event_id,
            prediction_id=new.prediction_id,
            source=new.source,
            disposition=new.disposition,
            external_id=new.external_id,
            comment=new.comment,
            known_time=known,
            recorded_by=actor,
        )

    def _problem(self, new: NewLabel, label: Label) -> tuple[str, str] | None:
        if new.stream and new.stream not in self._streams:
            return "stream", f"there is no stream {new.stream[:60]!r}"
        if new.stream and not label.event_id:
            return "event_id", f"{new.event_id!r} is no event of {new.stream}; send the event first"
        told = self._told.get((new.source, new.external_id))
        if told is not None and not _says_same(told, label):
            return "external_id", f"{new.external_id!r} is of another statement of this source"
        return None

    def _is_first(self, label: Label) -> bool:
        return self._told.setdefault((label.source, label.external_id), label) is label


def _linked(prediction_ids: Iterable[UUID]) -> dict[UUID, _Event]:
    rows = PredictionEvent.objects.filter(prediction_id__in=set(prediction_ids))
    return {row.prediction_id: (row.stream_id, row.event_id) for row in rows}


def _logged(events: Iterable[_Event]) -> set[_Event]:
    """Those of the events that are in the log."""
    found: set[_Event] = set()
    for stream_id, event_ids in _by_stream(events).items():
        keys = EventKey.objects.filter(stream_id=stream_id, event_id__in=event_ids)
        found |= set(keys.values_list("stream_id", "event_id"))
    return found


def _told(statements: Iterable[NewLabel]) -> dict[tuple[str, str], Label]:
    """What their sources said before under the same ids."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for new in statements:
        wanted[new.source].add(new.external_id)
    return {
        (label.source, label.external_id): label
        for source, ids in wanted.items()
        for label in Label.objects.filter(source=source, external_id__in=ids)
    }


def _says_same(one: Label, other: Label) -> bool:
    if one.disposition != other.disposition or one.prediction_id != other.prediction_id:
        return False
    about = (one.stream_id, one.event_id) == (other.stream_id, other.event_id)
    return about or one.prediction_id is not None


def _insert(rows: Sequence[Label]) -> list[Label]:
    """Add the rows; gives those that nobody else added in the same moment."""
    Label.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    keys = Label.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True)
    there = set(keys)
    return [row for row in rows if row.pk in there]


def _audit(actor: User, made: Sequence[Label]) -> None:
    counts = Counter(label.stream_id for label in made)
    for stream in Stream.objects.filter(pk__in=[key for key in counts if key is not None]):
        what = f"Recorded {counts[stream.pk]:,} label(s)."
        audit.record(actor=actor, row=stream, what=what, flag=ADDITION)


def _by_stream(events: Iterable[_Event]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for stream_id, event_id in events:
        found[stream_id].append(event_id)
    return found


def _bring(labels: Iterable[Label]) -> None:
    """Bring what was stated to the online store, now or, when Redis is away, with the next
    `labelling.catch_up`."""
    events = {(label.stream_id, label.event_id) for label in labels if label.stream_id is not None}
    _bring_events(_by_stream(events))


def _bring_events(events: Mapping[int, Sequence[str]]) -> None:
    try:
        for stream in Stream.objects.filter(pk__in=events):
            labelling.refresh(stream, events[stream.pk])
    except redis.RedisError as error:
        log.warning("labels wait for Redis", error=type(error).__name__)
