"""The configuration: one file, overridden by environment; a bad key stops the start by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegisml import config

KEY = "k" * 32


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AEGIS") or name == "LOG_LEVEL":
            monkeypatch.delenv(name)
    (tmp_path / "config.yaml").write_text("")
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "config.yaml"))


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def load() -> config.Config:
    config.load.cache_clear()
    try:
        return config.load()
    finally:
        config.load.cache_clear()


def error() -> str:
    with pytest.raises(config.ConfigError) as caught:
        load()
    return str(caught.value)


def test_without_any_key_the_defaults_hold() -> None:
    found = load()
    assert (found.server.http_port, found.server.grpc_port, found.server.metrics_port) == (
        8080, 8081, 8082,
    )  # fmt: skip
    assert found.environment == "development"


def test_the_file_sets_and_the_environment_overrides(
    yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml.write_text("ml: {training: {max_workers: 3, job_timeout: 60}}")
    monkeypatch.setenv("AEGIS__ML__TRAINING__MAX_WORKERS", "8")
    training = load().ml.training
    assert (training.max_workers, training.job_timeout) == (8, 60)


def test_deep_keys_of_the_algorithms_can_be_set(yaml: Path) -> None:
    yaml.write_text(
        "ml: {training: {algorithms: {xgboost: {enabled: true, default_params: {max_depth: 4}}}}}"
    )
    assert load().ml.training.algorithms.xgboost.default_params.max_depth == 4


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("databse: {}", "databse"),
        ("database: {prot: 5432}", "database.prot"),
        ("ml: {training: {algorithms: {lightgbm: {}}}}", "ml.training.algorithms.lightgbm"),
        ("database: {port: many}", "database.port"),
        ("database: {port: 70000}", "database.port"),
        ("database: {ssl_mode: perhaps}", "database.ssl_mode"),
        ("database: 5432", "database"),
        ("ml: {inference: {max_batch_rows: 0}}", "ml.inference.max_batch_rows"),
        ("ml: {model_monitoring: {drift_detection: {drift_method: magic}}}", "drift_method"),
        ("server: {allowed_hosts: localhost}", "server.allowed_hosts"),
        ("logging: {level: LOUD}", "logging.level"),
        ("environment: staging", "environment"),
    ],
)
def test_a_bad_key_in_the_file_is_named(yaml: Path, text: str, key: str) -> None:
    yaml.write_text(text)
    assert key in error()


def test_every_bad_key_is_named_at_once(yaml: Path) -> None:
    yaml.write_text("database: {port: x, prot: 1}\nredis: {db: 99}")
    assert all(key in error() for key in ("database.port", "database.prot", "redis.db"))


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("AEGIS__DATABSE__PORT", "1", "databse"),
        ("AEGIS__DATABASE__PROT", "1", "database.prot"),
        ("AEGIS__DATABASE__PORT", "many", "database.port"),
        ("AEGIS__ML__TRAINING__MAX_WORKERS", "-1", "ml.training.max_workers"),
        ("AEGIS__ML__TRAINING__MAX_WORKERZ", "1", "ml.training.max_workerz"),
        ("AEGIS__SERVER__ALLOWED_HOSTS", "localhost", "server.allowed_hosts"),
        ("AEGIS__DATABASE", "[1", "database"),
        ("LOG_LEVEL", "loud", "logging.level"),
    ],
)
def test_a_bad_variable_is_named_by_its_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str
) -> None:
    monkeypatch.setenv(name, value)
    assert key in error().lower()


def test_log_level_wins_over_the_file(yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml.write_text("logging: {level: ERROR, format: console}")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert (load().logging.level, load().logging.format) == ("DEBUG", "console")


def test_log_level_does_not_hide_a_broken_logging_section(
    yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml.write_text("logging: 3")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert "logging" in error()


@pytest.mark.parametrize(
    "text", ["database: {port: ", "a: b: c", "- database", "just text", "\x00"]
)
def test_a_file_that_is_no_yaml_mapping_is_named(yaml: Path, text: str) -> None:
    yaml.write_text(text)
    assert "config.yaml" in error()


def test_a_named_file_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_CONFIG", "/nowhere/config.yaml")
    assert error() == "AEGIS_CONFIG: no file at /nowhere/config.yaml"


def production(**security: str) -> str:
    keys = "".join(f"  {name}: {value!r}\n" for name, value in security.items())
    return "environment: production\n" + (f"security:\n{keys}" if keys else "")


@pytest.mark.parametrize(
    ("security", "key"),
    [
        ({}, "security.secret_key"),
        ({"secret_key": KEY}, "security.jwt_key"),
        ({"secret_key": KEY, "jwt_key": "short-hunter2"}, "security.jwt_key"),
    ],
)
def test_production_refuses_to_start_without_its_keys(
    yaml: Path, security: dict[str, str], key: str
) -> None:
    yaml.write_text(production(**security))
    assert key in error()
    assert "hunter2" not in error()


def test_production_starts_with_its_keys_but_not_for_every_host(yaml: Path) -> None:
    keys = production(secret_key=KEY, jwt_key=KEY[::-1])
    yaml.write_text(keys)
    assert load().environment == "production"
    yaml.write_text(keys + "server: {allowed_hosts: ['*']}")
    assert "server.allowed_hosts" in error()


def test_secrets_can_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "database__password").write_text("hunter2\n")
    (tmp_path / "secrets" / "security__jwt_key").write_text(KEY)
    monkeypatch.setenv("AEGIS_SECRETS_DIR", str(tmp_path / "secrets"))
    found = load()
    assert found.database.password.get_secret_value() == "hunter2"
    assert found.security.jwt_key is not None
    assert found.security.jwt_key.get_secret_value() == KEY


def test_a_folder_of_secrets_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_SECRETS_DIR", "/nowhere/secrets")
    assert "AEGIS_SECRETS_DIR" in error()


def test_a_secret_is_not_shown(yaml: Path) -> None:
    yaml.write_text("database: {password: hunter2}\nredis: {password: hunter2}")
    assert "hunter2" not in repr(load())


def test_the_start_stops_with_one_line_that_names_the_key(yaml: Path) -> None:
    yaml.write_text("databse: {}")
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=config.BASE_DIR, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.splitlines() == ["configuration: databse: unknown key"]
