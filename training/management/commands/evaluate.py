"""manage.py evaluate"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base.errors import AegisError
from training import evaluating, named
from training.management.terminal import BAD_REQUEST, FAILED, metric_lines
from training.ml.errors import TrainingError
from training.ml.reading import SUFFIXES


class Command(BaseCommand):
    help = (
        "Score a file of labelled rows with a version, as it serves, and print its metrics at the"
        " version's own threshold. Ends with 2 for a version or file that isn't there, 1 for a"
        " file that the version can't be judged on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", metavar="MODEL[@VERSION|@champion]", help="default: newest")
        parser.add_argument(
            "--dataset", metavar="PATH", required=True,
            help=f"below the data root; {', '.join(SUFFIXES)}",
        )  # fmt: skip
        parser.add_argument("--label", metavar="COLUMN", help="found by its name when left out")
        parser.add_argument("--time", metavar="COLUMN", help="found by its name when left out")
        parser.add_argument("--alerts-per-day", type=int, default=100, metavar="COUNT")
        parser.add_argument("--json", action="store_true", help="the metrics as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = named.version_or_alias(options["version"])
            found = evaluating.evaluate(
                version,
                options["dataset"],
                label=options["label"],
                time=options["time"],
                alerts_per_day=max(1, options["alerts_per_day"]),
            )
        except AegisError as error:
            raise CommandError(error.detail, returncode=BAD_REQUEST) from None
        except TrainingError as error:
            raise CommandError(str(error), returncode=FAILED) from None
        if options["json"]:
            said = {"version": str(version), "dataset": options["dataset"], "metrics": found}
            self.stdout.write(json.dumps(said, indent=2))
            return
        self.stdout.write(f"{version} on {options['dataset']}:")
        for line in metric_lines(found):
            self.stdout.write(line)
