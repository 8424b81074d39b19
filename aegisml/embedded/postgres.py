"""The embedded PostgreSQL 18: TCP on the loopback only, passwords always."""

import hashlib
import shutil
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from aegisml.embedded import processes, state
from aegisml.embedded.home import Home
from aegisml.embedded.state import EngineError, State

PROGRAM = "postgres"
ADMIN = "postgres"
LOG = "postgres.log"
MAX_LOG_BYTES = 10 * 1024 * 1024
START_SECONDS = 120
PID_FILE_PORT = 3  # the line of postmaster.pid with the port
NOTE = "aegisml.password.sha256"  # of a random one, so the digest gives nothing away

SETTINGS = """\
# Written at each start; changes here are lost.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''  # their paths may be 107 characters at most; ours may be longer
max_connections = 100
shared_buffers = 128MB
max_wal_size = 512MB
wal_level = minimal
max_wal_senders = 0
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
log_min_error_statement = panic  # statements carry customers' data
"""
ACCESS = f"host all all {state.HOST}/32 scram-sha-256\n"


def answers(data: Path, known: State) -> bool:
    """Whether the server at the known port is the one of this folder, and ready."""
    try:
        with _connect(known, known.engines.database_name) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.Error:
        return False
    # A copy of the folder knows the original's port and passwords.
    return row is not None and Path(row[0]).resolve() == (data / PROGRAM).resolve()


def ensure(home: Home, mark: str, known: State, *, durable: bool) -> State:
    """Bring the server up and return the state with the port that it got."""
    if _still_starting(home, mark, known):
        return known
    stop(mark)
    data = home.data / PROGRAM
    if not (data / "PG_VERSION").exists():
        _create(home, known, durable=durable)
    _forget_pid(data)
    if not state.is_free(known.engines.database_port):
        known = known.with_database_port(state.free_port(but=known.engines.redis_port))
    _configure(data, known, durable=durable)
    _reset_password(home, known)
    _launch(home, mark)
    _create_database(known)
    return known


def stop(mark: str) -> None:
    found = processes.marked(mark, PROGRAM)
    # Only the server is told; its children follow it. Orphans of a killed one are ended.
    servers = [process for process in found if "-D" in process.cmdline()]
    processes.end(servers, signal.SIGINT, patience=20)
    processes.end(processes.marked(mark, PROGRAM), signal.SIGQUIT, patience=3)


def is_running(mark: str) -> bool:
    return bool(processes.marked(mark, PROGRAM))


def _connect(known: State, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
    engines = known.engines
    return psycopg.connect(
        host=engines.database_host,
        port=engines.database_port,
        user=ADMIN,
        password=known.admin_password,
        dbname=database,
        connect_timeout=3,
        autocommit=True,
    )


def _still_starting(home: Home, mark: str, known: State) -> bool:
    """A server that replays its log after a crash is waited for, not killed again."""
    try:
        lines = (home.data / PROGRAM / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    is_starting = lines[-1:] != [] and lines[-1].strip() != "ready"
    port = lines[PID_FILE_PORT : PID_FILE_PORT + 1]
    if not is_starting or port != [str(known.engines.database_port)]:
        return False
    processes.wait(
        lambda: answers(home.data, known) or not is_running(mark), START_SECONDS, interval=0.2
    )
    return answers(home.data, known)


def _create(home: Home, known: State, *, durable: bool) -> None:
    """Make the data folder: under another name first, so that a half-made one is never used."""
    draft = home.make_folder(f"{PROGRAM}.new")
    shutil.rmtree(draft)
    password_file = home.make_folder("secret") / "password"
    password_file.write_text(known.admin_password)
    if home.user is not None:
        shutil.chown(password_file, home.user.pw_uid, home.user.pw_gid)
    draft = home.make_folder(f"{PROGRAM}.new")
    done = home.run(
        home.postgres / "bin" / "initdb",
        f"--pgdata={draft}",
        f"--username={ADMIN}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        *([] if durable else ["--no-sync"]),
    )
    shutil.rmtree(password_file.parent)
    if done.returncode:
        raise EngineError(f"PostgreSQL's data can't be created: {_reason(done.stdout)}")
    _note_password(draft, known)
    draft.rename(home.data / PROGRAM)


def _forget_pid(data: Path) -> None:
    # No server of ours runs by now, yet PostgreSQL would refuse to start if the
    # number in its file had meanwhile gone to another process of the same user.
    (data / "postmaster.pid").unlink(missing_ok=True)


def _configure(data: Path, known: State, *, durable: bool) -> None:
    text = SETTINGS.format(
        host=state.HOST, port=known.engines.database_port, durable="on" if durable else "off"
    )
    (data / "postgresql.conf").write_text(text)
    (data / "pg_hba.conf").write_text(ACCESS)


def _reset_password(home: Home, known: State) -> None:
    """Make the known password the valid one when the file of passwords was lost, the data not."""
    data = home.data / PROGRAM
    if _has_password(data, known):
        return
    done = home.run(
        home.postgres / "bin" / "postgres",
        "--single",
        "-D",
        data,
        "postgres",
        stdin=f"ALTER ROLE {ADMIN} PASSWORD '{known.admin_password}'\n",
    )
    if done.returncode:
        raise EngineError(f"PostgreSQL can't be given its password: {_reason(done.stdout)}")
    _note_password(data, known)


def _password_digest(known: State) -> str:
    return hashlib.sha256(known.admin_password.encode()).hexdigest()


def _has_password(data: Path, known: State) -> bool:
    note = data / NOTE
    return note.exists() and note.read_text() == _password_digest(known)


def _note_password(data: Path, known: State) -> None:
    (data / NOTE).write_text(_password_digest(known))


def _launch(home: Home, mark: str) -> None:
    log = home.make_folder("log") / LOG
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.unlink()
    done = home.run(
        home.postgres / "bin" / "pg_ctl",
        "start",
        "--wait",
        f"--timeout={START_SECONDS}",
        f"--pgdata={home.data / PROGRAM}",
        f"--log={log}",
        f"--options=-c cluster_name={mark}",
    )
    if done.returncode:
        written = log.read_text(errors="replace") if log.exists() else done.stdout
        raise EngineError(f"PostgreSQL doesn't start: {_reason(written)} (see {log})")


def _create_database(known: State) -> None:
    engines = known.engines
    role, name = sql.Identifier(engines.database_user), sql.Identifier(engines.database_name)
    with _connect(known) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = %s", [engines.database_user]
        ).fetchone()
        verb = sql.SQL("ALTER" if found else "CREATE")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                verb, role, sql.Literal(engines.database_password)
            )
        )
        if not connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [engines.database_name]
        ).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))


def _reason(output: str) -> str:
    """The line that says why, out of a program's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    return (telling or lines or ["no reason given"])[-1]
