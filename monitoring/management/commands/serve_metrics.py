"""manage.py serve_metrics"""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector


class Command(BaseCommand):
    help = "Serve Prometheus metrics of all processes until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.METRICS_HOST)
        parser.add_argument("--port", type=int, default=settings.METRICS_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        settings.METRICS_ROOT.mkdir(parents=True, exist_ok=True)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(settings.METRICS_ROOT))
        try:
            server, _ = start_http_server(options["port"], options["host"], registry)
        except OSError:
            raise CommandError(f"can't listen on {options['host']}:{options['port']}") from None
        self.stdout.write(f"Metrics on http://{options['host']}:{options['port']}/metrics")
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        stop.wait()
        server.shutdown()
