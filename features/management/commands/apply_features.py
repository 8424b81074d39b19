"""manage.py apply_features"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base import audit
from aegisml.base.errors import Invalid
from features.services import applying


class Command(BaseCommand):
    help = "Bring streams, entities, feature views and sets to what a folder of YAML files says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="such as config/features.example")
        parser.add_argument(
            "--promote", action="store_true", help="promote the newest version of each view"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = applying.apply_folder(
                actor=audit.system_user(),
                folder=options["folder"],
                promote=options["promote"],
                dry_run=options["dry_run"],
            )
        except Invalid as error:
            raise CommandError(error.detail) from None
        for step in plan.steps:
            self.stdout.write(f"{step.kind:<9} {step.name:<30} {step.what}")
        if plan.problems:
            told = "\n".join(plan.problems)
            raise CommandError(f"Nothing was changed: {len(plan.problems)} problem(s).\n{told}")
        if options["dry_run"]:
            self.stdout.write(f"Nothing was changed: a dry run. {plan.changes} change(s) wait.")
        else:
            self.stdout.write(f"{plan.changes} change(s).")
