"""Every admin test has folders of its own and a way to log in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests import factories


@pytest.fixture(autouse=True)
def _folders_of_each_test(own_folders: Path) -> None:
    """Nothing that a test writes outlives it."""


@pytest.fixture
def log_in() -> Callable[[str | User], Client]:
    """A client that is logged in as a new person of this role, or as this person."""

    def enter(who: str | User) -> Client:
        client = Client()
        client.force_login(factories.make_user(who) if isinstance(who, str) else who)
        return client

    return enter
