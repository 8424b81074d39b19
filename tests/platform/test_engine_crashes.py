"""Whatever happened to the engines, the next start works and no row is lost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import psycopg
import pytest

from aegisml import embedded
from aegisml.embedded import home, processes, state
from tests.platform.engine_room import (
    cache,
    kill_everything,
    query,
    running_processes,
    server,
    start,
)

pytestmark = pytest.mark.slow


def test_committed_rows_survive_kill_9_of_everything(var):
    engines = embedded.start(var)
    query(engines, "CREATE TABLE kept AS SELECT 7 AS number")

    kill_everything(var)

    assert query(embedded.start(var), "SELECT number FROM kept") == [(7,)]


def test_acknowledged_redis_writes_survive_a_kill(var):
    engines = embedded.start(var)
    cache(engines).set("kept", "yes")

    kill_everything(var)

    assert cache(embedded.start(var)).get("kept") == b"yes"


def test_kill_9_of_one_engine_leaves_the_other_alone(var):
    engines = start(var)
    postgres = server(var).pid
    cache_server = processes.marked(processes.mark(state.folder(var)), "redis-server")[0]

    cache_server.kill()

    assert cache(start(var)).ping()
    assert server(var).pid == postgres
    assert embedded.read(var) == engines


def test_kill_9_of_the_server_process_with_open_connections_is_recovered_from(var):
    engines = start(var)
    held = psycopg.connect(
        host=engines.database_host,
        port=engines.database_port,
        user=engines.database_user,
        password=engines.database_password,
        dbname=engines.database_name,
    )
    held.execute("SELECT 1")

    server(var).kill()

    assert query(start(var), "SELECT 1") == [(1,)]


def test_a_stale_pid_file_that_names_a_living_stranger_stops_nothing(var):
    start(var)
    kill_everything(var)
    data = state.folder(var) / "postgres"
    lines = (data / "postmaster.pid").read_text().splitlines()
    owner = data.stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None) as stranger:
        (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

        assert query(start(var), "SELECT 1") == [(1,)]
        assert stranger.poll() is None
        stranger.kill()


def test_concurrent_starts_share_one_pair_of_engines(new_var):
    found: list[embedded.Engines] = []
    command = [sys.executable, "-m", "aegisml.embedded", "start", "--var", str(new_var)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    thread = threading.Thread(target=lambda: found.append(start(new_var)))
    thread.start()
    thread.join()
    outputs = {other.communicate()[0] for other in others}

    servers = [p for p in running_processes(new_var) if "-D" in p.cmdline()]
    assert len(outputs) == 1
    assert [other.returncode for other in others] == [0, 0, 0]
    assert found == [embedded.read(new_var)]
    assert len(servers) == 1


def test_ports_taken_by_somebody_else_are_exchanged_for_free_ones(var):
    before = start(var)
    embedded.stop(var)
    with socket.create_server(("127.0.0.1", before.database_port)):
        after = start(var)

    assert after.database_port != before.database_port
    assert after.redis_port == before.redis_port
    assert query(after, "SELECT 1") == [(1,)]


def test_a_lost_password_file_costs_no_data(var):
    engines = start(var)
    query(engines, "CREATE TABLE kept AS SELECT 7 AS number")
    (state.folder(var) / state.FILE).unlink()

    engines = start(var)

    assert query(engines, "SELECT number FROM kept") == [(7,)]
    assert len([p for p in running_processes(var) if "-D" in p.cmdline()]) == 1


def test_a_damaged_password_file_counts_as_lost(var):
    start(var)
    (state.folder(var) / state.FILE).write_text("{")

    assert embedded.read(var) is None
    assert query(start(var), "SELECT 1") == [(1,)]


def test_a_first_start_that_was_cut_short_is_begun_anew(new_var):
    half_made = state.folder(new_var) / "postgres.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")

    assert query(start(new_var), "SELECT 1") == [(1,)]


def test_a_copied_folder_gets_engines_of_its_own(var, stopped_engines):
    original = start(stopped_engines)
    try:
        copied = start(var)
        assert copied.database_port != original.database_port
        assert copied.redis_port != original.redis_port
    finally:
        embedded.stop(stopped_engines)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the engines' user")
def test_root_in_a_closed_folder_gets_its_data_elsewhere(new_var):
    closed = new_var / "closed"
    closed.mkdir(mode=0o700)
    try:
        engines = start(closed)
        query(engines, "CREATE TABLE kept AS SELECT 7 AS number")
        embedded.stop(closed)

        assert query(start(closed), "SELECT number FROM kept") == [(7,)]
        assert home.data_folder(state.folder(closed)).parent == home.ELSEWHERE
    finally:
        embedded.stop(closed)
        shutil.rmtree(home.data_folder(state.folder(closed)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the engines' user")
def test_data_elsewhere_is_forgotten_with_its_folder(new_var):
    closed = new_var / "closed"
    closed.mkdir(mode=0o700)
    try:
        engines = start(closed)
        query(engines, "CREATE TABLE gone AS SELECT 7 AS number")
        embedded.stop(closed)
        first = home.data_folder(state.folder(closed))
        shutil.rmtree(state.folder(closed))

        engines = start(closed)

        assert query(engines, "SELECT to_regclass('gone')") == [(None,)]
        assert not first.exists()
    finally:
        embedded.stop(closed)
        shutil.rmtree(home.data_folder(state.folder(closed)))


def test_an_interrupted_server_that_is_still_recovering_is_waited_for(var):
    start(var)
    process = server(var)
    process.send_signal(signal.SIGSTOP)
    threading.Timer(0.5, process.send_signal, [signal.SIGCONT]).start()

    assert query(start(var), "SELECT 1") == [(1,)]
