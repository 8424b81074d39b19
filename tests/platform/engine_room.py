"""What tests of the embedded engines have in common."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import redis

from aegisml import embedded
from aegisml.embedded import processes, state


def folder_of_engines() -> Path:
    # pytest's own temporary folders are closed to the user that engines run as under root
    folder = Path(tempfile.mkdtemp(prefix="aegisml-engines-"))
    folder.chmod(0o755)
    return folder


@contextmanager
def removed_at_the_end(folder: Path) -> Iterator[Path]:
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


def start(var: Path) -> embedded.Engines:
    return embedded.start(var, durable=False)


def query(engines: embedded.Engines, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(
        host=engines.database_host,
        port=engines.database_port,
        user=engines.database_user,
        password=engines.database_password,
        dbname=engines.database_name,
        autocommit=True,
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def cache(engines: embedded.Engines) -> redis.Redis:
    return redis.Redis(
        host=engines.redis_host, port=engines.redis_port, password=engines.redis_password
    )


def running_processes(var: Path) -> list[psutil.Process]:
    mark = processes.mark(state.folder(var))
    return processes.marked(mark, "postgres") + processes.marked(mark, "redis-server")


def server(var: Path) -> psutil.Process:
    return next(p for p in running_processes(var) if "-D" in p.cmdline())


def kill_everything(var: Path) -> None:
    for process in running_processes(var):
        process.kill()
