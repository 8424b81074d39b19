"""The embedded Redis: append-only file, password, TCP on the loopback only."""

import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegisml.embedded import processes, state
from aegisml.embedded.home import Home
from aegisml.embedded.state import EngineError, State

PROGRAM = "redis-server"
DATA = "redis"
LOG = "redis.log"
MAX_LOG_BYTES = 10 * 1024 * 1024
START_SECONDS = 60

SETTINGS = """\
bind {host}
port {port}
requirepass {password}
daemonize yes
dir "{data}"
logfile "{log}"
proc-title-template "{{title}} {{listen-addr}} {mark}"
databases 16
save ""
appendonly {durable}
appendfsync everysec
maxmemory-policy noeviction
tcp-backlog 128
"""


def answers(data: Path, known: State) -> bool:
    """Whether the server at the known port is the one of this folder, and ready."""
    try:
        with _connect(known) as client:
            served = client.config_get("dir")["dir"]
    except redis.RedisError:
        return False
    return Path(served).resolve() == (data / DATA).resolve()


def ensure(home: Home, mark: str, known: State, *, durable: bool) -> State:
    """Bring the server up and return the state with the port that it got."""
    # A server that reads its file after a crash is waited for.
    if processes.marked(mark, PROGRAM) and _is_loading(known):
        processes.wait(lambda: not _is_loading(known), START_SECONDS)
        if answers(home.data, known):
            return known
    stop(mark)
    if not state.is_free(known.engines.redis_port):
        known = known.with_redis_port(state.free_port(but=known.engines.database_port))
    _launch(home, mark, known, durable=durable)
    return known


def stop(mark: str) -> None:
    processes.end(processes.marked(mark, PROGRAM), signal.SIGTERM, patience=10)


def is_running(mark: str) -> bool:
    return bool(processes.marked(mark, PROGRAM))


def _connect(known: State) -> redis.Redis:
    engines = known.engines
    return redis.Redis(
        host=engines.redis_host,
        port=engines.redis_port,
        password=engines.redis_password,
        socket_timeout=3,
        socket_connect_timeout=3,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),  # a server that isn't there is an answer
    )


def _is_loading(known: State) -> bool:
    try:
        with _connect(known) as client:
            client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.RedisError:
        return False
    return False


def _launch(home: Home, mark: str, known: State, *, durable: bool) -> None:
    data = home.make_folder(DATA)
    log = home.make_folder("log") / LOG
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.unlink()
    settings = SETTINGS.format(
        host=state.HOST,
        port=known.engines.redis_port,
        password=known.engines.redis_password,
        data=data,
        log=log,
        mark=mark,
        durable="yes" if durable else "no",
    )
    # Read from standard input, the password is in no file and no list of processes.
    done = home.run(home.redis, "-", stdin=settings)
    if done.returncode:
        raise EngineError(f"Redis doesn't start: {_last_line(done.stdout)}")
    processes.wait(
        lambda: answers(home.data, known) or not is_running(mark), START_SECONDS, interval=0.05
    )
    if not answers(home.data, known):
        written = log.read_text(errors="replace") if log.exists() else ""
        raise EngineError(f"Redis doesn't start: {_last_line(written)} (see {log})")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
