"""manage.py build_training_set"""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from aegisml.base import moments
from aegisml.base.errors import AegisError
from features.models import FeatureSet
from features.services import training_sets
from features.services.training_sets import Summary, Wanted

BAR = 30


class Command(BaseCommand):
    help = (
        "Write a Parquet file with one row per event of a feature set's stream: event_id,"
        " event_time, the set's features as they were known when the event came, and label."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("feature_set", metavar="FEATURE_SET", help="such as demo_fraud@v1")
        parser.add_argument(
            "--from", dest="since", required=True, metavar="TIME",
            help=f"of the first events, in ISO 8601 with its zone: {moments.EXAMPLE}",
        )  # fmt: skip
        parser.add_argument(
            "--to", dest="until", required=True, metavar="TIME", help="later than the last events"
        )
        parser.add_argument("--output", type=Path, required=True, metavar="FILE.parquet")
        parser.add_argument(
            "--event-time-only",
            action="store_true",
            help="let features see what had happened, even if nobody knew of it then",
        )
        parser.add_argument(
            "--mature-at", metavar="TIME", help="take the labels known at that time; default: now"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["output"]
        if target.suffix != ".parquet" or target.is_dir():
            raise CommandError("--output must be a file's name that ends in .parquet")
        with connection.cursor() as cursor:  # as long as it takes
            cursor.execute("SET statement_timeout = 0")
        progress = _Progress(self)
        try:
            wanted = _wanted(options)
            summary = training_sets.build(wanted=wanted, target=target, report=progress.show)
        except AegisError as error:
            raise CommandError(_as_options(error)) from None
        except (OSError, pa.ArrowException, duckdb.Error) as error:
            raise CommandError(f"{target} is not built: {error}") from None
        finally:
            progress.end()
        self._summarize(wanted, target, summary)

    def _summarize(self, wanted: Wanted, target: Path, summary: Summary) -> None:
        share = f" ({summary.frauds / summary.rows:.2%})" if summary.rows else ""
        self.stdout.write(f"{wanted.feature_set} into {target}:")
        self.stdout.write(f"  rows   {summary.rows:>14,}")
        self.stdout.write(f"  frauds {summary.frauds:>14,}{share}")
        self.stdout.write("  null share of each feature:")
        for name, nulls in summary.null_shares.items():
            self.stdout.write(f"    {name:<40} {nulls:>8.2%}")
        for note in summary.notes:
            self.stdout.write(f"  {note}")


def _wanted(options: dict[str, Any]) -> Wanted:
    return Wanted(
        feature_set=FeatureSet.objects.pinned(options["feature_set"]),
        since=_moment("--from", options["since"]),
        until=_moment("--to", options["until"]),
        as_known=not options["event_time_only"],
        mature_at=_moment("--mature-at", options["mature_at"]) if options["mature_at"] else None,
    )


def _moment(option: str, text: str) -> datetime:
    try:
        return moments.parse(text)
    except ValueError as error:
        raise CommandError(f"{option} {error}") from None


def _as_options(error: AegisError) -> str:
    if not error.errors:
        return error.detail
    return "; ".join(
        f"{'FEATURE_SET' if e.field == 'feature_set' else f'--{e.field}'} {e.message}"
        for e in error.errors
    )


class _Progress:
    """A bar on a terminal; elsewhere a plain line for each tenth."""

    def __init__(self, command: Command) -> None:
        self._out = command.stdout
        self._is_terminal = bool(self._out.isatty())
        self._told = -1

    def show(self, percent: int) -> None:
        if self._is_terminal:
            full = BAR * percent // 100
            bar = "#" * full + "." * (BAR - full)
            self._out.write(f"\r[{bar}] {percent:3}%\x1b[K", ending="")
            self._out.flush()
        elif percent // 10 > self._told:
            self._told = percent // 10
            self._out.write(f"{percent}%")

    def end(self) -> None:
        if self._is_terminal:
            self._out.write("")
