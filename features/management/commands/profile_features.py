"""manage.py profile_features"""

from argparse import ArgumentTypeError
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from aegisml.base.errors import AegisError
from features.jobs import profiling
from features.models import FeatureViewVersion


class Command(BaseCommand):
    help = (
        "Profile the features of view versions, per day of event time: nulls, histogram, quantiles."
        " Without arguments: each live version, yesterday (UTC), as each night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("views", nargs="*", metavar="VIEW[@vN]")
        parser.add_argument("--from", type=_day, dest="first", help="such as 2026-03-01")
        parser.add_argument("--to", type=_day, dest="last", help="included; default --from")

    def handle(self, *args: Any, **options: Any) -> None:
        days = _days(options["first"], options["last"])
        versions = self._versions(options["views"])
        if not versions:
            self.stdout.write("No version is live: promote one, or pin it in a feature set.")
        with connection.cursor() as cursor:  # a web request may ask less of the database
            cursor.execute("SET statement_timeout = 0")
        for version in versions:
            # The newest first: the edges of histograms are cut from it.
            for day in reversed(days):
                made = profiling.profile_day(version, day)
                rows = made[0].rows if made else 0
                self.stdout.write(f"{version} {day}: {len(made)} features of {rows:,} events")

    def _versions(self, names: list[str]) -> list[FeatureViewVersion]:
        if not names:
            rows = FeatureViewVersion.objects.live().select_related("view__stream", "view__entity")
            return list(rows.order_by("view__name", "number"))
        try:
            return [FeatureViewVersion.objects.pinned(name) for name in names]
        except AegisError as error:
            raise CommandError(error.detail) from None


def _days(first: date | None, last: date | None) -> list[date]:
    start = first or last or timezone.now().date() - timedelta(days=1)
    end = last or start
    if start > end:
        raise CommandError("--from must not be after --to")
    return [start + timedelta(days=i) for i in range((end - start).days + 1)]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be a day such as 2026-03-01") from None
