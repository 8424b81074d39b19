"""The embedded PostgreSQL and Redis, as real processes."""

import json
import os
import subprocess
import sys

import psutil
import psycopg
import pytest
import redis

from aegisml import embedded
from aegisml.embedded import state
from tests.platform.engine_room import (
    cache,
    query,
    running_processes,
    server,
    start,
)

pytestmark = pytest.mark.slow


def test_both_engines_answer_after_the_first_start(new_var):
    engines = start(new_var)

    assert query(engines, "SELECT current_database()") == [("aegisml",)]
    assert cache(engines).ping()


def test_the_application_may_create_databases_but_is_no_superuser(var):
    engines = start(var)

    query(engines, "CREATE DATABASE another")

    assert query(engines, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]


def test_neither_engine_lets_anybody_in_without_the_password(var):
    engines = start(var)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=engines.database_host,
            port=engines.database_port,
            user="postgres",
            password="guess",
            dbname="postgres",
        )
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host=engines.redis_host, port=engines.redis_port).ping()


def test_the_engines_listen_on_the_loopback_only(var):
    start(var)

    listening = {
        connection.laddr.ip
        for process in running_processes(var)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_the_passwords_are_readable_by_their_owner_only(var):
    start(var)

    assert (state.folder(var) / state.FILE).stat().st_mode & 0o777 == 0o600


def test_a_second_start_adopts_what_runs(var):
    first = start(var)
    before = {process.pid for process in running_processes(var)}

    assert start(var) == first
    assert server(var).pid in before


def test_reading_tells_where_the_engines_are_without_starting_them(new_var):
    assert embedded.read(new_var) is None

    engines = start(new_var)

    assert embedded.read(new_var) == engines


def test_stop_ends_every_process_and_a_new_start_finds_the_data(var):
    engines = start(var)
    query(engines, "CREATE TABLE kept AS SELECT 7 AS number")

    embedded.stop(var)
    assert running_processes(var) == []

    assert start(var) == engines
    assert query(engines, "SELECT number FROM kept") == [(7,)]


def test_a_block_stops_only_what_it_started(var):
    with embedded.running(var, durable=False):
        pass
    assert running_processes(var) == []

    start(var)
    with embedded.running(var, durable=False):
        pass
    assert embedded.is_running(var)


def test_paths_too_long_for_a_socket_are_fine(new_var):
    deep = new_var / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    try:
        assert query(start(deep), "SELECT 1") == [(1,)]
    finally:
        embedded.stop(deep)


def test_ctrl_c_in_the_terminal_does_not_reach_the_engines(var):
    command = [sys.executable, "-m", "aegisml.embedded", "start", "--var", str(var)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as terminal:
        terminal.communicate()

    sessions = {os.getsid(process.pid) for process in running_processes(var)}

    assert terminal.pid not in sessions


def test_the_command_says_what_runs(new_var, capfd):
    command = [sys.executable, "-m", "aegisml.embedded"]
    options = ["--var", str(new_var)]

    assert subprocess.run([*command, "status", *options], check=False).returncode == 3
    start(new_var)
    assert subprocess.run([*command, "status", *options], check=False).returncode == 0
    assert subprocess.run([*command, "stop", *options], check=False).returncode == 0

    out = capfd.readouterr().out
    assert "not running" in out
    assert "PostgreSQL answers on 127.0.0.1:" in out
    assert "stopped" in out


def test_the_environment_of_an_engine_holds_no_secret_of_ours(var, monkeypatch):
    monkeypatch.setenv("AEGIS__SECURITY__SECRET_KEY", "s" * 40)

    start(var)

    assert "AEGIS__SECURITY__SECRET_KEY" not in server(var).environ()


def test_saved_ports_are_plain_json(var):
    engines = start(var)

    saved = json.loads((state.folder(var) / state.FILE).read_text())

    assert saved["database_port"] == engines.database_port
