"""manage.py ship_predictions"""

import fcntl
import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from inference import jobs

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Move the journal's records into the prediction table, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="ship what is there, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.JOURNAL_ROOT.mkdir(parents=True, exist_ok=True)
        with (settings.JOURNAL_ROOT / ".shipper").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError("another shipper works on this journal") from None
            if options["once"]:
                self.stdout.write(f"Shipped {jobs.ship(settings.JOURNAL_ROOT).records} records.")
                return
            self._until_stopped()

    def _until_stopped(self) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        while not stop.is_set():
            try:
                shipped = jobs.ship(settings.JOURNAL_ROOT)
            except DatabaseError as error:
                log.warning("shipping waits for the database", error=type(error).__name__)
                connection.close()
                stop.wait(2)
                continue
            if not shipped.records:
                stop.wait(settings.INFERENCE.ship_interval_seconds)
        jobs.ship(settings.JOURNAL_ROOT)
