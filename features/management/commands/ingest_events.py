"""manage.py ingest_events"""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from aegisml.base import audit
from aegisml.base.errors import AegisError
from features.choices import RunStatus
from features.log import sealing
from features.ml import batches
from features.ml.batches import Row, Rows, UnreadableFile
from features.models import IngestFile, Stream
from features.services import files
from features.services.events import Ingested

BAR = 30
EVERY_SECONDS = 5.0  # between plain lines of progress
STOPPED = 130  # what a shell gives for Ctrl-C


class Command(BaseCommand):
    help = (
        "Log the events of a file (CSV, CSV.gz or Parquet) whose columns are the stream's fields."
        " Stopped or killed, the same command goes on where it was; no event counts twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream")
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--history",
            action="store_true",
            help="events were known when they happened, not only now",
        )
        parser.add_argument("--chunk", type=int, default=10_000, help="rows in a transaction")
        parser.add_argument(
            "--drop-unknown", action="store_true", help="leave out columns that the stream hasn't"
        )
        parser.add_argument(
            "--again", action="store_true", help="read a file again that was read to its end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["chunk"] <= 100_000:  # noqa: PLR2004
            raise CommandError("--chunk must be from 1 to 100000")
        path: Path = options["file"]
        self._lift_limits()
        try:
            file = self._start(path, options)
            if file.status == RunStatus.SUCCEEDED:
                self._tell_it_is_done(file)
                return
            with batches.open_rows(path) as rows, files.reading(file):
                reason = _Reading(self, file, rows, options).run()
        except (AegisError, UnreadableFile) as error:
            text = error.detail if isinstance(error, AegisError) else f"{path}: {error}"
            raise CommandError(text) from None
        except OperationalError as error:
            text = str(error).splitlines()[0]
            raise CommandError(f"The database: {text}. The same command goes on.") from None
        self._summarize(file, reason)
        if file.status == RunStatus.FAILED:
            raise CommandError("Every row was refused.")

    def _start(self, path: Path, options: dict[str, Any]) -> IngestFile:
        return files.start(
            stream=Stream.objects.named(options["stream"]),
            actor=audit.system_user(),
            name=path.name,
            sha256=batches.fingerprint(path),
            history=options["history"],
            again=options["again"],
        )

    def _lift_limits(self) -> None:
        """A chunk may take longer than what a web request may ask of the database."""
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")

    def _tell_it_is_done(self, file: IngestFile) -> None:
        self.stdout.write(
            f"{file.name} was read to its end before: {file.accepted:,} accepted,"
            f" {file.rejected:,} refused. --again reads it again."
        )

    def _summarize(self, file: IngestFile, broken: Counter[tuple[str, str]]) -> None:
        self.stdout.write(f"{file.name} into {file.stream.name}:")
        for name in ("rows_read", "accepted", "duplicates", "rejected"):
            self.stdout.write(f"  {name.replace('_', ' '):<12}{getattr(file, name):>14,}")
        if broken:
            self.stdout.write("  broken rules (of this run):")
        for (rule, field), times in broken.most_common(30):
            self.stdout.write(f"    {rule:<14} {field:<30} {times:>12,}")
        if file.rejected:
            self.stdout.write(f"  refused rows: {files.rejects_path(file)}")


class _Reading:
    """One run over a file, from where it stopped to its end."""

    def __init__(
        self, command: Command, file: IngestFile, rows: Rows, options: dict[str, Any]
    ) -> None:
        self._file = file
        self._rows = rows
        self._chunk: int = options["chunk"]
        self._known = set(file.stream.schema.by_name) if options["drop_unknown"] else None
        self._out = command.stdout
        self._progress = _Progress(command, rows, file)
        self._broken: Counter[tuple[str, str]] = Counter()
        self._unsealed = self._pending = 0

    def run(self) -> Counter[tuple[str, str]]:
        """Read to the end; gives how often which rule was broken at which field."""
        try:
            for rows in self._rows.parts(self._chunk, skip=self._file.rows_read):
                self._note(files.take(file=self._file, rows=self._without_unknown(rows)))
            self._progress.end()
            files.finish(file=self._file, actor=audit.system_user())
            sealing.seal(self._file.stream)
        except KeyboardInterrupt:
            self._progress.end()
            self._out.write(
                f"Stopped after {self._file.rows_read:,} rows. The same command goes on there."
            )
            sys.exit(STOPPED)
        if self._pending:
            self._out.write(f"{self._pending:,} events wait for the online store, which is away.")
        return self._broken

    def _note(self, result: Ingested) -> None:
        self._broken.update(result.broken)
        self._pending += result.pending_online
        self._unsealed += result.accepted
        if self._unsealed >= settings.FEATURES.seal_rows:
            sealing.seal(self._file.stream)
            self._unsealed = 0
        self._progress.show()

    def _without_unknown(self, rows: list[Row]) -> list[Row]:
        if self._known is None:
            return rows
        return [{name: row[name] for name in row if name in self._known} for row in rows]


class _Progress:
    """A bar on a terminal, else a plain line now and then."""

    def __init__(self, command: Command, rows: Rows, file: IngestFile) -> None:
        self._out = command.stdout
        self._is_terminal = bool(self._out.isatty())
        self._rows = rows
        self._file = file
        self._began = self._told = time.monotonic()
        self._first = file.rows_read
        self._first_share: float | None = None

    def show(self) -> None:
        now = time.monotonic()
        if self._first_share is None:
            self._first_share = self._rows.share() if self._first else 0.0
        if self._is_terminal:
            self._out.write(f"\r{self._line(now)}\x1b[K", ending="")
            self._out.flush()
        elif now - self._told >= EVERY_SECONDS:
            self._told = now
            self._out.write(self._line(now))

    def end(self) -> None:
        if self._is_terminal:
            self._out.write("")

    def _line(self, now: float) -> str:
        share, gone = self._rows.share(), max(now - self._began, 1e-6)
        full = int(BAR * share)
        speed = (self._file.rows_read - self._first) / gone
        fresh = share - (self._first_share or 0.0)
        left = f"{gone * (1 - share) / fresh:,.0f} s left" if fresh > 0 else "..."
        bar = "#" * full + "." * (BAR - full)
        return f"[{bar}] {share:4.0%} {self._file.rows_read:>12,} rows {speed:>9,.0f}/s {left}"
