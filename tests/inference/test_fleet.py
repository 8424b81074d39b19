"""What a serving process knows of the deployments."""

import time
from typing import Any

import pytest

from aegisml.base.auth import roles
from inference import services
from inference.fleet import fleet
from models_app.models import Alias
from tests.factories import make_model, make_user, payment, trained_version


def wait_until(true: Any, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def served_version(model: Any) -> int | None:
    loaded = fleet._serving.get(model.name)
    return loaded.version if loaded else None


@pytest.mark.slow
def test_a_deployment_elsewhere_reaches_this_process_without_a_request(
    transactional_db: None, own_folders: Any, settings: Any
) -> None:
    settings.INFERENCE = settings.INFERENCE.model_copy(update={"snapshot_poll_seconds": 0.2})
    first = trained_version()
    services.deploy(model=first.model, actor=first.created_by)
    fleet.follow()
    try:
        assert wait_until(lambda: served_version(first.model) == 1)
        trained_version(first.model)
        services.deploy(model=first.model, actor=first.created_by)
        assert wait_until(lambda: served_version(first.model) == 2)
        services.undeploy(model=first.model, actor=first.created_by)
        assert wait_until(lambda: served_version(first.model) is None)
    finally:
        fleet.clear()


def test_a_version_that_stays_is_not_loaded_again(version: Any) -> None:
    before = fleet.get(version.model.name)
    fleet.synchronize()
    assert fleet.get(str(version.model_id)) is before


def test_a_version_whose_files_went_bad_leaves_the_old_one_serving(
    version: Any, predict: Any
) -> None:
    predict()
    second = trained_version(version.model)
    services.deploy(model=version.model, actor=version.created_by)
    fleet.clear()
    (second.bundle_folder / "model.onnx").write_bytes(b"")
    assert predict().status_code == 503


def test_the_champion_alias_follows_the_deployment(version: Any) -> None:
    assert Alias.objects.get(model=version.model, name="champion").version == version


def test_a_model_that_was_never_deployed_is_not_ready(client: Any, bearer: Any) -> None:
    model = make_model()
    answer = client.post(
        f"/api/v1/models/{model.name}/predict",
        {"features": payment()},
        content_type="application/json",
        headers=bearer(roles.SERVICE),
    )
    assert answer.status_code == 503
    assert "no deployed version" in answer.json()["detail"]


def test_a_router_of_ones_own_is_plugged_in_by_name(settings: Any) -> None:
    from django.core.checks import run_checks  # noqa: PLC0415

    settings.INFERENCE_ROUTER = "nowhere.Router"
    assert [found.id for found in run_checks() if found.id == "aegisml.E001"] == ["aegisml.E001"]


def test_deploying_names_its_actor(version: Any) -> None:
    actor = make_user(roles.OPERATOR)
    assert services.deploy(model=version.model, actor=actor).created_by == actor
