"""manage.py materialize"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base.errors import AegisError
from features.choices import RunStatus
from features.jobs import materializing, runs
from features.models import FeatureViewVersion


class Command(BaseCommand):
    help = (
        "Build the online state of feature view versions from the event log. Without arguments:"
        " of the live versions whose state Redis has lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("views", nargs="*", metavar="VIEW[@vN]")
        parser.add_argument("--all", action="store_true", help="every live version")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all"] and options["views"]:
            raise CommandError("Name views, or give --all.")
        versions = self._versions(options["views"], every=options["all"])
        if not versions:
            self.stdout.write("Nothing to build: Redis has the state of every live version.")
        for version in versions:
            self._build(version)

    def _versions(self, names: list[str], *, every: bool) -> list[FeatureViewVersion]:
        if every:
            return list(FeatureViewVersion.objects.live().select_related("view__stream"))
        if not names:
            return runs.incomplete()
        try:
            return [FeatureViewVersion.objects.pinned(name) for name in names]
        except AegisError as error:
            raise CommandError(error.detail) from None

    def _build(self, version: FeatureViewVersion) -> None:
        if not version.view.entity_id:
            self.stdout.write(f"{version} keeps nothing: it has no entity.")
            return
        if not version.is_live:
            raise CommandError(f"{version} is off: promote it, or pin it in a feature set.")
        run = runs.request(version, reason="manage.py materialize")
        materializing.run(
            str(run.pk), lambda percent, text: self.stdout.write(f"{version} {percent:3}% {text}")
        )
        run.refresh_from_db()
        if run.status == RunStatus.RUNNING:
            raise CommandError(f"{version} is being built by another worker.")
        if run.status != RunStatus.SUCCEEDED:
            raise CommandError(f"{version} is not built: {run.error}")
