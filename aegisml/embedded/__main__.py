"""`python -m aegisml.embedded start|stop|status`: the embedded engines by hand."""

import argparse
import sys
from pathlib import Path

from aegisml import embedded
from aegisml.config import ConfigError, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m aegisml.embedded", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "status"])
    parser.add_argument("--var", type=Path, help="the data folder (by default the configured one)")
    options = parser.parse_args()
    try:
        var = (options.var or load().var).absolute()
        return _obey(options.command, var)
    except (embedded.EngineError, ConfigError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _obey(command: str, var: Path) -> int:
    if command == "stop":
        embedded.stop(var)
        _say("PostgreSQL and Redis are stopped.")
        return 0
    if command == "start":
        embedded.start(var)
    if not embedded.is_running(var):
        _say("not running")
        return 3
    engines = embedded.read(var)
    if engines:
        _say(f"PostgreSQL answers on {engines.database_host}:{engines.database_port}")
        _say(f"Redis answers on {engines.redis_host}:{engines.redis_port}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
