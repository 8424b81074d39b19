"""config.yaml.example is the documentation of every key: complete, and true."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from aegisml import config

EXAMPLE = config.BASE_DIR / "config" / "config.yaml.example"


def keys(section: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def leaves(data: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in data.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def test_it_documents_every_key_and_no_other() -> None:
    assert leaves(yaml.safe_load(EXAMPLE.read_text())) == keys(config.Config)


def test_what_stands_there_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AEGIS") or name == "LOG_LEVEL"]:
        monkeypatch.delenv(name)
    used = tmp_path / "config.yaml"
    monkeypatch.setenv("AEGIS_CONFIG", str(used))
    found = []
    for text in (EXAMPLE.read_text(), ""):
        used.write_text(text)
        config.load.cache_clear()
        found.append(config.load().model_dump())
    config.load.cache_clear()
    assert found[0] == found[1]
