"""Files of events: read once to their end, however often somebody starts."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from aegisml.base import audit
from aegisml.base.errors import Conflict
from features.choices import RunStatus
from features.models import IngestFile, Stream
from features.services import events
from features.services.events import Batch, Ingested, Rejected

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@transaction.atomic
def start(
    *, stream: Stream, actor: User, name: str, sha256: str, history: bool, again: bool = False
) -> IngestFile:
    """Take up a file where its reading stopped, or at its start.

    A file of which nothing was accepted starts over; so does, with `again`,
    one that was read. Its events count once all the same.
    """
    file, is_new = IngestFile.objects.get_or_create(
        stream=stream, sha256=sha256, history=history, defaults={"name": name[:500]}
    )
    if again or file.status == RunStatus.FAILED:
        file.rows_read = file.accepted = file.duplicates = file.rejected = 0
        file.status, file.error = RunStatus.RUNNING, ""
    if is_new:
        file.quarantine_path = _quarantine_path(file)
    file.save()
    if file.status == RunStatus.RUNNING:
        what = f"Reading {name} from row {file.rows_read:,}."
        audit.record(actor=actor, row=file, what=what, flag=ADDITION)
    return file


@contextmanager
def reading(file: IngestFile) -> Iterator[None]:
    """Be the only one who reads the file, until the block or the process ends.

    Raises `Conflict` when somebody else reads it.
    """
    lock = file.pk.int >> 65  # PostgreSQL's locks are numbered with 64 bits, signed
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        if not cursor.fetchone()[0]:
            raise Conflict(f"{file.name}: another command reads this file now.")
        try:
            file.refresh_from_db()
            _forget_rejects_after(file)
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def take(*, file: IngestFile, rows: Sequence[Mapping[str, Any]]) -> Ingested:
    """Ingest the file's next rows; they and the place in the file are kept together or not at all.

    Call it in `reading`. Raises `Conflict` when somebody started the file over meanwhile.
    """
    batch = Batch(
        stream=file.stream,
        rows=rows,
        source=file.name,
        history=file.history,
        first_line=file.rows_read,
        parse_text=True,
    )
    checked = events.check_batch(batch)
    with transaction.atomic():
        recorded = checked.record()
        result = recorded.result
        here = IngestFile.objects.filter(
            pk=file.pk, rows_read=file.rows_read, status=RunStatus.RUNNING
        )
        if not here.update(
            rows_read=F("rows_read") + len(rows),
            accepted=F("accepted") + result.accepted,
            duplicates=F("duplicates") + result.duplicates,
            rejected=F("rejected") + result.rejected,
            updated_at=timezone.now(),
        ):
            raise Conflict(f"{file.name}: another command started this file over.")
        _write_rejects(file, recorded.rejects)
    file.refresh_from_db()
    return events.feed(recorded)


@transaction.atomic
def finish(*, file: IngestFile, actor: User) -> None:
    """Note that the file was read to its end; it failed when every row was refused."""
    failed = bool(file.rows_read) and file.rejected == file.rows_read
    file.status = RunStatus.FAILED if failed else RunStatus.SUCCEEDED
    file.error = "Every row was refused." if failed else ""
    file.save(update_fields=["status", "error", "updated_at"])
    what = (
        f"Read {file.rows_read:,} rows: {file.accepted:,} accepted,"
        f" {file.duplicates:,} there already, {file.rejected:,} refused."
    )
    audit.record(actor=actor, row=file, what=what)


def _quarantine_path(file: IngestFile) -> str:
    name = _UNSAFE.sub("_", Path(file.name).name)[:80]
    return f"quarantine/{file.stream.name}/{name}-{file.pk}.jsonl"


def rejects_path(file: IngestFile) -> Path:
    """The file with the refused rows; there is none when none was."""
    return Path(settings.FEATURE_ROOT) / file.quarantine_path


def _write_rejects(file: IngestFile, rejects: Sequence[Rejected]) -> None:
    if not rejects:
        return
    path = rejects_path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as out:
        for reject in rejects:
            line = {"row": reject.index, "reasons": reject.reasons, "raw": reject.raw}
            out.write(orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _forget_rejects_after(file: IngestFile) -> None:
    """Cut off rows that were written by a command that was killed before it took them."""
    path = rejects_path(file)
    if not path.exists():
        return
    kept = 0
    with path.open("rb+") as lines:
        for line in lines:
            if not line.endswith(b"\n") or orjson.loads(line)["row"] >= file.rows_read:
                break
            kept += len(line)
        lines.truncate(kept)
