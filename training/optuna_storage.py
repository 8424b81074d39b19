"""Optuna's memory of trials: tables of its own in the project's database.

They lie in the schema `optuna`, which a migration makes; Optuna makes and upgrades the tables.
The rows of `training.models` are the truth about trials, and what Optuna holds follows them
(`training.trying.follow`): it is what samplers and pruners learn from.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from django.conf import settings
from django.db import connection, transaction
from optuna.storages import RDBStorage
from sqlalchemy import URL

from training.ml import searching
from training.models import Study

SCHEMA = "optuna"
_LOCK = zlib.crc32(b"training.optuna_storage")
_TIMEOUT_MS = 30_000
# by database and process: what SQLAlchemy has compiled is worth keeping, connections are not
_known: dict[tuple[str, int], RDBStorage] = {}


@contextmanager
def opened() -> Iterator[RDBStorage]:
    """Optuna's storage, with connections of its own, which are closed afterwards."""
    key = str(connection.settings_dict["NAME"]), os.getpid()
    if key not in _known:
        _known[key] = _made()
    storage = _known[key]
    try:
        yield storage
    finally:
        storage.engine.dispose()


def search(storage: RDBStorage, study: Study, algorithm: str, *, number: int = 0) -> optuna.Study:
    """Optuna's study of one of the algorithms, made when it isn't there. `number` is of the
    trial that is to be asked for."""
    seed = int(study.parameters.get("seed", 0))
    return optuna.create_study(
        storage=storage,
        study_name=study.optuna_name(algorithm),
        direction="maximize",
        sampler=searching.sampler(
            study.sampler, seed=seed, number=number, parallel=study.workers > 1
        ),
        pruner=searching.pruner(study.pruner),
        load_if_exists=True,
    )


def _storage(*, skip_table_creation: bool = True) -> RDBStorage:
    searching.quiet()
    database = connection.settings_dict
    arguments = {"options": f"-csearch_path={SCHEMA} -cstatement_timeout={_TIMEOUT_MS}"}
    if mode := settings.DATABASES["default"]["OPTIONS"].get("sslmode"):
        arguments["sslmode"] = mode
    host = str(database["HOST"])
    is_socket = host.startswith("/")
    query = {"host": host, "port": str(database["PORT"])} if is_socket else {}
    url = URL.create(
        "postgresql+psycopg",
        username=database["USER"] or None,
        password=database["PASSWORD"] or None,
        host=None if is_socket else host,
        port=None if is_socket else int(database["PORT"]),
        database=str(database["NAME"]),
        query=query,
    )
    # one connection for the work, another for the moment when a report comes in between
    engine = {"pool_size": 1, "max_overflow": 1, "connect_args": arguments}
    address = url.render_as_string(hide_password=False)
    return RDBStorage(
        address,
        engine_kwargs=engine,
        skip_compatibility_check=True,
        skip_table_creation=skip_table_creation,
    )


def _made() -> RDBStorage:
    """The storage, with tables that are this Optuna's."""
    storage = _storage() if _are_there() else None
    if storage is None or storage.get_current_version() != storage.get_head_version():
        storage = _with_tables()
    return storage


def _are_there() -> bool:
    """Whether tables are there, down to the version that is noted last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('optuna.alembic_version') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT EXISTS (SELECT FROM optuna.alembic_version)")
        return bool(cursor.fetchone()[0])


def _with_tables() -> RDBStorage:
    """Make or upgrade the tables, which may take its time, in one process at a time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        storage = _storage(skip_table_creation=False)
        if storage.get_current_version() != storage.get_head_version():
            storage.upgrade()
    return storage
