"""What `make up` refuses to do, in one line that says why."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aegisml.config import Server
from aegisml.up import guards


def run_up(**environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS")}
    return subprocess.run(
        [sys.executable, "-m", "aegisml.up"],
        env=ours | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def marked_sleeper(var: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], env={**os.environ, guards.MARK: str(var)})


@pytest.mark.parametrize("key", ["http_port", "grpc_port", "metrics_port"])
def test_a_taken_port_is_named_with_its_holder_and_its_key(key):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = Server(**{"http_port": 1, "grpc_port": 1, "metrics_port": 1, key: port})

        with pytest.raises(guards.Refused) as refusal:
            guards.require_free_ports(
                Server.model_validate(server.model_dump() | free_ports(but=key))
            )

    assert str(refusal.value) == (
        f"port {port} on 127.0.0.1 is taken by python (pid {os.getpid()}); "
        f"choose another with server.{key} or AEGIS__SERVER__{key.upper()}"
    )


def free_ports(but: str) -> dict[str, int]:
    ports = {}
    for key in ("http_port", "grpc_port", "metrics_port"):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports[key] = probe.getsockname()[1]
    del ports[but]
    return ports


def test_an_address_of_another_machine_is_one_line():
    with pytest.raises(guards.Refused, match=r"^server\.host 192\.0\.2\.1, port"):
        guards.require_free_ports(Server(host="192.0.2.1"))


@pytest.mark.slow
def test_a_second_up_is_refused_in_one_line(tmp_path):
    with guards.only_one(tmp_path):
        done = run_up(AEGIS__VAR_DIR=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"already running for {tmp_path} (pid {os.getpid()})"]


def test_the_lock_is_free_again_afterwards(tmp_path):
    with guards.only_one(tmp_path):
        pass

    with guards.only_one(tmp_path):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("AEGIS__SERVER__HTTP_PORT", "many", "server.http_port"),
        ("AEGIS__SERVER__HTP_PORT", "1", "server.htp_port"),
        ("AEGIS__SERVR__HTTP_PORT", "1", "servr"),
        ("AEGIS_CONFIG", "/nowhere.yaml", "AEGIS_CONFIG"),
    ],
)
def test_a_configuration_error_is_one_line_that_names_the_key(name, value, key):
    done = run_up(**{name: value})

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"configuration: {key}")


@pytest.mark.slow
def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    done = run_up(AEGIS__VAR_DIR=str(tmp_path / "file" / "var"))

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{tmp_path}/file/var: Not a directory"]


def test_leftovers_of_an_earlier_run_of_this_folder_are_ended(tmp_path):
    with marked_sleeper(tmp_path) as leftover:
        assert guards.end_leftovers(tmp_path) == 1
        assert leftover.wait() == -9


def test_the_processes_of_other_folders_are_nobodys_leftovers(tmp_path):
    with marked_sleeper(tmp_path / "other") as stranger:
        assert guards.end_leftovers(tmp_path) == 0
        assert stranger.poll() is None
        stranger.kill()
