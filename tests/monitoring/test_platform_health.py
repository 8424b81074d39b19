"""Health of the platform's parts, for people and for balancers."""

import os
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aegisml.base import workers
from aegisml.base.auth import roles, tokens
from aegisml.base.models import ApiSession
from aegisml.base.redis import short_lived
from inference import journal
from monitoring import components, tasks
from monitoring.jobs import chores
from tests.factories import make_user

PARTS = ["database", "redis", "workers", "beat", "disk", "artifact_store", "journal"]
NOWHERE = "redis://127.0.0.1:1/0"


def states(answer: Any) -> dict[str, str]:
    return {part["name"]: part["state"] for part in answer.json()["components"]}


def test_every_component_is_reported(get: Any, own_folders: Any) -> None:
    answer = get("/api/v1/monitoring/health")
    assert list(states(answer)) == PARTS
    assert all(part["detail"] for part in answer.json()["components"])


def test_without_workers_the_platform_is_degraded_not_down(get: Any, own_folders: Any) -> None:
    answer = get("/api/v1/monitoring/health")
    assert states(answer)["workers"] == "down"
    assert answer.json()["status"] == "degraded"


def test_workers_that_show_life_are_counted(get: Any, own_folders: Any) -> None:
    workers.record("a@host", ["training"])
    assert states(get("/api/v1/monitoring/health"))["workers"] == "degraded"
    workers.record("b@host", ["chores"])
    assert states(get("/api/v1/monitoring/health"))["workers"] == "ok"


def test_a_worker_that_fell_silent_is_down(get: Any, own_folders: Any) -> None:
    short_lived().hset(workers.key(), "a@host", f"{time.time() - 60} training chores")
    assert states(get("/api/v1/monitoring/health"))["workers"] == "down"


def test_a_scheduled_tick_shows_that_beat_runs(get: Any, own_folders: Any) -> None:
    assert states(get("/api/v1/monitoring/health"))["beat"] == "down"
    tasks.record_heartbeat.run()
    assert states(get("/api/v1/monitoring/health"))["beat"] == "ok"


def test_an_old_tick_shows_that_beat_stopped(get: Any, own_folders: Any) -> None:
    short_lived().set(components.heartbeat_key(), time.time() - 100)
    assert states(get("/api/v1/monitoring/health"))["beat"] == "down"


def test_a_lost_redis_is_told_and_predictions_stay_ready(
    get: Any, client: Any, own_folders: Any, settings: Any
) -> None:
    settings.REDIS_URL = NOWHERE
    found = states(get("/api/v1/monitoring/health"))
    assert (found["redis"], found["beat"], found["database"]) == ("down", "down", "ok")
    assert client.get("/readyz").status_code == 200


def test_a_full_journal_is_not_ready(
    client: Any, db: None, own_folders: Any, settings: Any
) -> None:
    settings.INFERENCE = settings.INFERENCE.model_copy(update={"journal_quota_bytes": 10})
    journal.Journal(settings.JOURNAL_ROOT).append([{"id": "x" * 20}])
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["components"]["journal"] == "down"
    assert client.get("/livez").status_code == 200


def test_an_artifact_store_that_is_no_folder_is_down(
    get: Any, own_folders: Any, settings: Any
) -> None:
    settings.ARTIFACT_ROOT.write_text("a file where the folder should be")
    assert states(get("/api/v1/monitoring/health"))["artifact_store"] == "down"


@pytest.mark.parametrize("address", ["/livez", "/healthz", "/readyz", "/health"])
def test_probes_need_no_token_and_tell_states_only(
    client: Any, db: None, own_folders: Any, address: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "components"}
    assert client.post(address).status_code == 405


def test_liveness_asks_the_database_nothing(
    client: Any, django_assert_num_queries: Any, db: None
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/livez").status_code == 200


def test_a_killed_writers_folder_is_cleared_after_a_day(own_folders: Any, settings: Any) -> None:
    old, new = (settings.ARTIFACT_ROOT / "model" / f".writing-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    assert chores.clear_unfinished_bundles() == 1
    assert new.exists()
    assert not old.exists()


def test_sessions_that_ended_long_ago_are_cleared(db: None) -> None:
    tokens.open_session(user=make_user(roles.VIEWER), user_agent="live")
    tokens.open_session(user=make_user(roles.VIEWER), user_agent="old")
    old = ApiSession.objects.filter(user_agent="old")
    old.update(expires_at=timezone.now() - timedelta(days=31))
    assert chores.clear_ended_sessions() == 1
    assert [session.user_agent for session in ApiSession.objects.all()] == ["live"]
