"""Events come in: checked, logged once, and fed to the online store."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from features import log as event_log
from features.choices import Policy
from features.jobs import feeding
from features.log import Logged
from features.log.events import microseconds
from features.ml.rows import Checked, Checker, Problem
from features.models import QuarantinedRow, Stream
from features.services import quality

logger = structlog.get_logger(__name__)

SHOWN_ERRORS = 100
MAX_RAW = 10_000


@dataclass(frozen=True)
class RowError:
    """Why a row was refused; `index` is its place in the request or file, from 0."""

    index: int
    event_id: str
    field: str
    rule: str
    message: str


@dataclass(frozen=True)
class Rejected:
    """A row that was refused, as it came."""

    index: int
    event_id: str
    problems: tuple[Problem, ...]
    raw: Any

    @property
    def reasons(self) -> list[dict[str, str]]:
        return [{"field": p.field, "rule": p.rule, "message": p.message} for p in self.problems]


@dataclass(frozen=True)
class Ingested:
    """What became of the rows: accepted + duplicates + rejected are all of them.

    `warnings` counts broken rules that the stream's policy let pass, and
    `pending_online` the accepted events that the online store gets later.
    `errors` are of the first 100 problems, `broken` counts all per rule and field.
    """

    accepted: int
    duplicates: int
    rejected: int
    warnings: int
    pending_online: int = 0
    errors: tuple[RowError, ...] = ()
    broken: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Rows that come together. `first_line` is the first one's number in its source; `history`
    and `parse_text` are told in `ingest` and `features.ml.rows.Checker`."""

    stream: Stream
    rows: Sequence[Any]
    source: str
    history: bool = False
    first_line: int = 0
    parse_text: bool = False


@dataclass(frozen=True)
class Recorded:
    """A batch in the log, still to be fed to the online store."""

    stream: Stream
    result: Ingested
    fresh: Sequence[Logged]
    rejects: Sequence[Rejected]


def ingest(
    *, stream: Stream, rows: Sequence[Any], actor: User, source: str, history: bool = False
) -> Ingested:
    """Log the rows that are good and new, quarantine the ones that are refused.

    A row whose id is in the log with the same content changes nothing. Rows
    that don't tell when they were known count as known now, or, with
    `history`, when they happened.
    """
    checked = check_batch(Batch(stream, rows, source, history))
    with transaction.atomic():
        recorded = checked.record()
    if recorded.rejects:
        logger.info(
            "events refused", stream=stream.name, rejected=len(recorded.rejects), actor=actor.pk
        )
    return feed(recorded)


def check_batch(batch: Batch) -> "CheckedBatch":
    """Check all rows; outside of a transaction, since it takes its time."""
    now = microseconds(timezone.now())
    checker = Checker(
        batch.stream.schema,
        strict=batch.stream.policy == Policy.STRICT,
        parse_text=batch.parse_text,
    )
    rows = [checker.check(raw, now_us=now) for raw in batch.rows]
    return CheckedBatch(batch, rows, now)


def feed(recorded: Recorded) -> Ingested:
    """Bring a recorded batch to the online store; after its transaction."""
    pending = feeding.feed(recorded.stream, recorded.fresh)
    return replace(recorded.result, pending_online=pending)


@dataclass(frozen=True)
class CheckedBatch:
    """A batch whose rows are checked."""

    batch: Batch
    rows: Sequence[Checked]
    now: int

    def record(self) -> Recorded:
        """Log, quarantine and count the rows, within the caller's transaction."""
        stream = self.batch.stream
        good = [i for i, row in enumerate(self.rows) if not row.problems]
        default = None if self.batch.history else self.now
        appended = event_log.append(stream, [self.rows[i] for i in good], known_default_us=default)
        conflicts = {good[i] for i in appended.conflicts}
        rejects = list(self._rejects(conflicts))
        _quarantine(stream, self.batch.source, rejects)
        warned = self._warnings(set(good) - conflicts)
        refused = Counter((p.rule, p.field) for reject in rejects for p in reject.problems)
        quality.count(stream=stream, rows=len(self.rows), broken=refused + warned)
        result = Ingested(
            accepted=len(appended.fresh),
            duplicates=len(appended.duplicates),
            rejected=len(rejects),
            warnings=warned.total(),
            errors=tuple(_errors(rejects)),
            broken=refused + warned,
        )
        return Recorded(stream, result, appended.fresh, rejects)

    def _rejects(self, conflicts: set[int]) -> Iterator[Rejected]:
        for i, row in enumerate(self.rows):
            problems = row.problems
            if i in conflicts:
                text = "is the id of an event with other content"
                problems = (Problem(self.batch.stream.schema.event_id, "conflict", text),)
            if problems:
                line = self.batch.first_line + i
                yield Rejected(line, row.event_id, problems, self.batch.rows[i])

    def _warnings(self, places: set[int]) -> Counter[tuple[str, str]]:
        rows = (self.rows[i] for i in places)
        return Counter((p.rule, p.field) for row in rows for p in row.warnings)


def raw_text(raw: Any) -> str:
    """A row as JSON; what JSON has no word for is written as text."""
    return orjson.dumps(raw, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _quarantine(stream: Stream, source: str, rejects: Sequence[Rejected]) -> None:
    rows = (
        QuarantinedRow(
            stream=stream,
            source=source[:500],
            line=reject.index,
            event_id=reject.event_id[:100],
            reasons=reject.reasons,
            raw=raw_text(reject.raw)[:MAX_RAW],
        )
        for reject in rejects
    )
    QuarantinedRow.objects.bulk_create(rows, batch_size=1000)


def _errors(rejects: Sequence[Rejected]) -> list[RowError]:
    found = (
        RowError(reject.index, reject.event_id[:100], p.field, p.rule, p.message)
        for reject in rejects[:SHOWN_ERRORS]
        for p in reject.problems
    )
    return list(found)[:SHOWN_ERRORS]
