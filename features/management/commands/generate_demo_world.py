"""manage.py generate_demo_world"""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from features.ml.demo_world import World
from features.services import demo


class Command(BaseCommand):
    help = "Write a simulated world of card payments with fraud, as CSV below the data root."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="fraud_training_data.csv", help="the file's name")
        parser.add_argument("--cards", type=int, default=World.cards)
        parser.add_argument("--terminals", type=int, default=World.terminals)
        parser.add_argument("--days", type=int, default=World.days)
        parser.add_argument("--radius", type=float, default=World.radius)
        parser.add_argument("--seed", type=int, default=World.seed)

    def handle(self, *args: Any, **options: Any) -> None:
        sizes = {key: options[key] for key in ("cards", "terminals", "days", "radius", "seed")}
        target = settings.DATA_ROOT / options["name"]
        rows = demo.write_demo_world(target=target, world=World(**sizes))
        self.stdout.write(f"Wrote {rows:,} payments to {target}.")
