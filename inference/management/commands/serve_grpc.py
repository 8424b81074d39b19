"""manage.py serve_grpc"""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_grpc_framework.settings import grpc_settings

GRACE_SECONDS = 10
THREADS = 8


class Command(BaseCommand):
    help = "Serve gRPC until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--address", default=settings.GRPC_ADDRESS, help="host:port")

    def handle(self, *args: Any, **options: Any) -> None:
        server = grpc.server(
            ThreadPoolExecutor(THREADS),
            # a second server on the same port must fail, not share it in silence
            options=[("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=THREADS * 8,
        )
        grpc_settings.ROOT_HANDLERS_HOOK(server)
        try:
            server.add_insecure_port(options["address"])
        except RuntimeError:
            raise CommandError(f"can't listen on {options['address']}") from None
        server.start()
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        self.stdout.write(f"gRPC on {options['address']}")
        stop.wait()
        server.stop(GRACE_SECONDS).wait()
