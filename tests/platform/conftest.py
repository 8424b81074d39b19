"""Folders with embedded engines in them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegisml import embedded
from tests.platform.engine_room import folder_of_engines, removed_at_the_end, start


@pytest.fixture(scope="package")
def stopped_engines() -> Iterator[Path]:
    """Data of engines that ran once: creating it takes most of a test's time."""
    with removed_at_the_end(folder_of_engines()) as folder:
        start(folder)
        embedded.stop(folder)
        yield folder


@pytest.fixture
def new_var() -> Iterator[Path]:
    with removed_at_the_end(folder_of_engines()) as folder:
        yield folder


@pytest.fixture
def var(new_var: Path, stopped_engines: Path) -> Path:
    subprocess.run(["cp", "-a", f"{stopped_engines}/.", str(new_var)], check=True)
    return new_var
