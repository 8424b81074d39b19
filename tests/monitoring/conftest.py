"""A deployed model, a reader, and a way to fill the prediction log."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from aegisml.base import ids
from aegisml.base.auth import roles, tokens
from inference import jobs, scoring, services
from models_app.models import ModelVersion
from tests.factories import make_user, trained_version


@pytest.fixture
def version(db: None, own_folders: Any) -> ModelVersion:
    trained = trained_version()
    services.deploy(model=trained.model, actor=trained.created_by)
    return trained


@pytest.fixture
def get(client: Client, db: None) -> Callable[[str], Any]:
    pair = tokens.open_session(user=make_user(roles.VIEWER), user_agent="tests")

    def read(address: str) -> Any:
        return client.get(address, headers={"Authorization": f"Bearer {pair.access}"})

    return read


@pytest.fixture
def log_rows(version: ModelVersion) -> Callable[..., None]:
    """Score rows as a caller would, who waited `seconds`, and ship them into the table."""

    def fill(rows: list[dict[str, Any]], seconds: float = 0.001) -> None:
        caller = roles.Identity(0, "tests", frozenset({roles.SERVICE}), "")
        scoring.predict(
            model_key=version.model.name,
            rows=rows,
            identity=caller,
            request_id=ids.request_id(None),
            started=time.perf_counter() - seconds,
        )
        jobs.ship(settings.JOURNAL_ROOT)

    return fill
