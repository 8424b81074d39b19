"""Bring everything up, watch over it, and take it down again."""

import argparse
import http.client
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aegisml import embedded
from aegisml.config import Config, ConfigError, load
from aegisml.up import guards, programs
from aegisml.up.banner import banner, reachable
from aegisml.up.console import say, step
from aegisml.up.programs import DEMO_NEEDED
from aegisml.up.supervisor import GaveUp, StopAsked, Supervisor

READY_SECONDS = 180
BAD_CONFIGURATION = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m aegisml.up", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="show the logs of every process")
    verbose = parser.parse_args().verbose
    try:
        config = load()
        with guards.only_one(config.var):
            return _up(config, verbose=verbose)
    except ConfigError as error:
        sys.stderr.write(f"configuration: {error}\n")
        return BAD_CONFIGURATION
    except (guards.Refused, embedded.EngineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _up(config: Config, *, verbose: bool) -> int:
    if count := guards.end_leftovers(config.var):
        say(f"  ended {count} processes that an earlier run had left")
    guards.require_free_ports(config.server)
    supervisor = Supervisor(config.var, verbose=verbose)
    supervisor.listen()
    with _engines(config):
        try:
            return _serve(config, supervisor)
        except GaveUp as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except StopAsked:
            return 0
        finally:
            say("\nStopping ...")
            supervisor.stop()
            guards.end_leftovers(config.var)


@contextmanager
def _engines(config: Config) -> Iterator[None]:
    if config.database.host is not None and config.redis.host is not None:
        yield
        return
    try:
        with step("PostgreSQL and Redis"):
            embedded.start(config.var)
        yield
    finally:
        embedded.stop(config.var)
        say("Everything is stopped.")


def _serve(config: Config, supervisor: Supervisor) -> int:
    programs.empty_metrics(config.var)
    with step("database, static files, roles"):
        status = supervisor.run([sys.executable, "-m", "aegisml.up.prepare"], programs.UNLIMITED)
        _require(status, also=DEMO_NEEDED)
    # All load Django at once otherwise, and what people wait for is as late as the last.
    supervisor.start(programs.servers(config))
    with step(f"waiting for http://{_address(config)}/readyz"):
        _wait_until_ready(config, supervisor)
    with step("gRPC and metrics"):
        for port in (config.server.grpc_port, config.server.metrics_port):
            _wait_until_listening(config, port, supervisor)
    supervisor.start(programs.workers(config))
    if status == DEMO_NEEDED:
        with step("the demo model"):
            _require(supervisor.run([sys.executable, "-m", "aegisml.demo"], programs.UNLIMITED))
    say(banner(config.server, str(config.var / "logs")))
    while True:
        supervisor.tick()


def _require(status: int, *, also: int = 0) -> None:
    if status not in (0, also):
        raise GaveUp("stopped, since this step failed (see above)")


def _wait_until_ready(config: Config, supervisor: Supervisor) -> None:
    # Each of granian's workers has its own queue at the port: enough questions reach them all.
    questions = min(10 * config.server.workers, 100)
    began = said = time.monotonic()
    while not all(_is_ready(config) for _ in range(questions)):
        now = time.monotonic()
        if now - began > READY_SECONDS:
            last = "".join(f"\n    {line}" for line in supervisor.tail("web"))
            raise GaveUp(f"not ready after {READY_SECONDS} s; the web server's last lines:{last}")
        if now - said > 5:  # noqa: PLR2004 - seconds between signs of life
            said = now
            say(f"    {now - began:.0f} s ...")
        supervisor.tick()


def _wait_until_listening(config: Config, port: int, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        supervisor.tick()
        with suppress(OSError), socket.create_connection((config.server.host, port), timeout=2):
            return
        if time.monotonic() > deadline:
            raise GaveUp(f"nothing listens on port {port} after {READY_SECONDS} s (see the logs)")


def _address(config: Config) -> str:
    return f"{reachable(config.server.host)}:{config.server.http_port}"


def _is_ready(config: Config) -> bool:
    # Asked as from outside: under an allowed name, and as if over TLS where that is a must.
    name = next((host for host in config.server.allowed_hosts if host[0] not in "*."), "localhost")
    headers = {"Host": name, "X-Forwarded-Proto": "https" if config.server.https else "http"}
    connection = http.client.HTTPConnection(_address(config), timeout=2)
    try:
        connection.request("GET", "/readyz", headers=headers)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
