"""manage.py check_consistency"""

from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from aegisml.base import moments
from features.choices import RunStatus
from features.models import ConsistencyRun
from monitoring.jobs import consistency

SHOWN = 10


class Command(BaseCommand):
    help = (
        "Compute the features of served predictions again from the event log and compare: one run"
        " per feature set. Without arguments: the last 24 hours, as each night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        example = f"such as {moments.EXAMPLE}"
        parser.add_argument(
            "--since", type=_moment, help=f"{example}; default a day before --until"
        )
        parser.add_argument("--until", type=_moment, help=f"{example}; default now")
        parser.add_argument("--sample", type=_share, help="share of the keys, above 0 up to 1")

    def handle(self, *args: Any, **options: Any) -> None:
        until = options["until"] or timezone.now()
        since = options["since"] or until - timedelta(days=1)
        if since >= until:
            raise CommandError("--since must be before --until")
        with connection.cursor() as cursor:  # a web request may ask less of the database
            cursor.execute("SET statement_timeout = 0")
        runs = consistency.check(since=since, until=until, share=options["sample"])
        if not runs:
            self.stdout.write("No version that was deployed then pins a feature set.")
        for run in runs:
            self._show(run)
        if any(run.status != RunStatus.SUCCEEDED for run in runs):
            raise CommandError("Not every feature set could be checked.")

    def _show(self, run: ConsistencyRun) -> None:
        if run.status != RunStatus.SUCCEEDED:
            self.stdout.write(f"{run.feature_set}: {run.error}")
            return
        if not run.compared:
            self.stdout.write(f"{run.feature_set}: nothing to compare, no event was predicted.")
            return
        self.stdout.write(
            f"{run.feature_set}: compared {run.compared:,} predictions,"
            f" {run.disagreeing:,} disagree."
        )
        for row in run.features[:SHOWN]:
            self.stdout.write(
                f"  {row['feature']:<32} {row['mismatch']:>7,} differ {row['missing']:>7,} missing"
                f" {row['extra']:>7,} extra  SMAPE {row['smape']:.2g}"
            )


def _moment(text: str) -> datetime:
    try:
        return moments.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ArgumentTypeError("must be above 0 and at most 1")
    return share
