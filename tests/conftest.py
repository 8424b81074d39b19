"""Tests run on real engines of their own, beside a platform that may be running.

Engines and environment are ready before Django's settings are read, which is
why pytest-django is not told of the settings but finds Django set up.
Under xdist the controller owns the engines; each worker has a database of its
own in PostgreSQL and in Redis, and a folder of its own below the session's.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import django
import pytest
import redis

from aegisml import embedded

if "aegisml.settings" in sys.modules:
    raise pytest.UsageError(
        "Django's settings were read before the tests' engines were there: "
        "unset DJANGO_SETTINGS_MODULE, in pyproject.toml and in the environment"
    )

ROOT = Path(__file__).resolve().parent.parent
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SESSION_FOLDER = "AEGIS_TEST_SESSION"


def claim_folder() -> tuple[Path, IO[str]]:
    """The first folder that no other test session holds; its data serves the next session."""
    for number in range(1, 100):
        folder = ROOT / "var" / (f"test-{number}" if number > 1 else "test")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "session.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return folder, lock
    raise pytest.UsageError("a hundred test sessions are running in this checkout")


def point_at(engines: embedded.Engines) -> None:
    os.environ.update(
        {
            "AEGIS__DATABASE__HOST": engines.database_host,
            "AEGIS__DATABASE__PORT": str(engines.database_port),
            "AEGIS__DATABASE__NAME": engines.database_name,
            "AEGIS__DATABASE__USERNAME": engines.database_user,
            "AEGIS__DATABASE__PASSWORD": engines.database_password,
            "AEGIS__REDIS__HOST": engines.redis_host,
            "AEGIS__REDIS__PORT": str(engines.redis_port),
            "AEGIS__REDIS__PASSWORD": engines.redis_password,
        }
    )


def start_session() -> IO[str]:
    folder, lock = claim_folder()
    os.environ[SESSION_FOLDER] = str(folder)
    # An empty one: what a developer configured for the platform is not for its tests.
    configuration = folder / "config.yaml"
    configuration.write_text("")
    os.environ["AEGIS_CONFIG"] = str(configuration)
    point_at(embedded.start(folder, durable=False))
    return lock


def separate_worker() -> None:
    """Redis numbers its databases 0 to 15; the first is for sessions without workers."""
    number = int(WORKER.removeprefix("gw")) + 1 if WORKER else 0
    if number > 15:
        raise pytest.UsageError("at most 15 xdist workers: each has a Redis database of its own")
    folder = Path(os.environ[SESSION_FOLDER]) / (WORKER or "alone")
    os.environ["AEGIS__REDIS__DB"] = str(number)
    os.environ["AEGIS__VAR_DIR"] = str(folder)
    os.environ["AEGIS__ML__TRAINING__DATA_ROOT"] = str(folder / "datasets")


SESSION_LOCK = None if WORKER else start_session()
separate_worker()
os.environ["AEGIS__LOGGING__LEVEL"] = "WARNING"
# making and dropping the test database takes its time on a busy machine
os.environ["AEGIS__DATABASE__STATEMENT_TIMEOUT_MS"] = "60000"
# a browser's requests and a training share the test's process
os.environ["AEGIS__DATABASE__POOL_SIZE"] = "12"
os.environ["AEGIS__ML__TRAINING__MAX_WORKERS"] = "8"  # one thread a training: xdist fills the cores
os.environ["DJANGO_SETTINGS_MODULE"] = "aegisml.settings"
django.setup()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    # Workers inherit the environment, and must not read the settings before this module either.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


from aegisml.base.auth import tokens  # noqa: E402
from inference.fleet import fleet  # noqa: E402
from tests.factories import own_folders  # noqa: E402, F401 - a fixture, for every test


def pytest_unconfigure() -> None:
    if SESSION_LOCK is not None:
        embedded.stop(Path(os.environ[SESSION_FOLDER]))
        SESSION_LOCK.close()


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    from django.test import override_settings  # noqa: PLC0415 - needs the settings

    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def redis_connection() -> Iterator[redis.Redis]:
    from django.conf import settings  # noqa: PLC0415

    with redis.Redis.from_url(settings.REDIS_URL) as connection:
        yield connection


@pytest.fixture(autouse=True)
def empty_redis(redis_connection: redis.Redis) -> None:
    """Each test starts with a Redis database that is empty."""
    redis_connection.flushdb()


@pytest.fixture
def patient_database(db: None) -> None:
    """Lets a test's transaction wait for a child process; a server's has none open then."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Each test starts like a process that has served nothing yet."""
    fleet.clear()
    tokens.forget_verified()
    yield
    fleet.clear()
