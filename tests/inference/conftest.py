"""A caller with a token, and a deployed model to call."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aegisml.base.auth import roles, tokens
from inference import services
from models_app.models import ModelVersion
from tests.factories import make_user, payment, trained_version

Call = Callable[..., Any]


@pytest.fixture
def bearer(db: None) -> Callable[[str], dict[str, str]]:
    """Headers of a new caller with a role."""

    def make(role: str) -> dict[str, str]:
        pair = tokens.open_session(user=make_user(role), user_agent="tests")
        return {"Authorization": f"Bearer {pair.access}"}

    return make


@pytest.fixture
def service(bearer: Any) -> dict[str, str]:
    return bearer(roles.SERVICE)


@pytest.fixture
def version(db: None, own_folders: Any) -> ModelVersion:
    """A trained version that is deployed."""
    trained = trained_version()
    services.deploy(model=trained.model, actor=trained.created_by)
    return trained


@pytest.fixture
def predict(client: Client, service: dict[str, str], version: ModelVersion) -> Call:
    """Ask the deployed model; keywords change single features."""

    def ask(body: Any = None, **changes: Any) -> Any:
        payload = {"features": payment(**changes)} if body is None else body
        return client.post(
            f"/api/v1/models/{version.model.name}/predict",
            payload,
            content_type="application/json",
            headers=service,
        )

    return ask


@pytest.fixture
def predict_batch(client: Client, service: dict[str, str], version: ModelVersion) -> Call:
    def ask(rows: Any) -> Any:
        return client.post(
            f"/api/v1/models/{version.model_id}/batch-predict",
            {"instances": rows},
            content_type="application/json",
            headers=service,
        )

    return ask
