"""The Prometheus endpoint of all processes: `python -m aegisml.metrics`.

Each process writes its counters to files below PROMETHEUS_MULTIPROC_DIR; a
scrape adds them up. Django isn't loaded: nothing here needs it.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from aegisml.config import Config, ConfigError, load


def main() -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status."""
    try:
        config = load()
    except ConfigError as error:
        sys.stderr.write(f"configuration: {error}\n")
        return 2
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        server, _ = start_http_server(
            config.server.metrics_port, config.server.host, _registry(config)
        )
    except OSError:
        sys.stderr.write(f"can't listen on {config.server.host}:{config.server.metrics_port}\n")
        return 1
    stop.wait()
    server.shutdown()
    return 0


def _registry(config: Config) -> CollectorRegistry:
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", config.var / "metrics"))
    folder.mkdir(parents=True, exist_ok=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return registry


if __name__ == "__main__":
    sys.exit(main())
