"""The admin's first page."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from aegisml.base.auth import roles
from inference import services as serving
from monitoring.admin import dashboard
from tests import factories
from tests.admin.test_predictions import predict
from training.choices import JobStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(log_in):
    return log_in(roles.VIEWER)


def text_of(client, fragment=""):
    return client.get(f"/admin/{fragment}").content.decode()


def test_a_new_installation_is_told_what_to_do_first(log_in):
    html = text_of(log_in(roles.OPERATOR))

    assert "Register your first model" in html
    assert 'href="/admin/models_app/registeredmodel/add/"' in html


def test_then_to_train(viewer):
    factories.make_model()

    assert "Train a first version" in text_of(viewer)


def test_then_to_deploy(viewer):
    factories.trained_version()

    assert "Deploy a version" in text_of(viewer)


def test_a_viewer_is_not_sent_to_forms_that_refuse_them(viewer):
    assert 'href="/admin/models_app/registeredmodel/add/"' not in text_of(viewer)


def test_champions_and_changes_are_shown(viewer):
    version = factories.trained_version()
    serving.deploy(model=version.model, actor=version.created_by, reason="go live")

    html = text_of(viewer)

    assert f"/admin/models_app/modelversion/{version.pk}/change/" in html
    assert "Deployed version 1. go live" in html


def test_running_jobs_show_their_progress_and_follow_it(viewer):
    factories.make_job(status=JobStatus.RUNNING, progress=37, step="fit")

    html = text_of(viewer, "dashboard/jobs/")

    assert 'aria-valuenow="37"' in html
    assert "every 2s" in html


def test_a_panel_of_jobs_that_are_over_stands_still(viewer):
    factories.make_job(status=JobStatus.FAILED)

    html = text_of(viewer, "dashboard/jobs/")

    assert "failed" in html
    assert "hx-trigger" not in html


def test_traffic_counts_the_last_day_by_decision(viewer):
    version = factories.trained_version()
    predict(version, count=3)
    predict(version, decision="block", latency_us=9000)
    predict(version, count=5, created_at=datetime.now(tz=UTC) - timedelta(days=2))

    html = text_of(viewer, "dashboard/traffic/")

    assert "<dd>4</dd>" in html
    assert "9.00 ms" in html
    assert "3 approve, 1 block" in html


def test_no_traffic_says_how_to_send_some(viewer):
    assert "POST /api/v1/models/" in text_of(viewer, "dashboard/traffic/")


def test_more_traffic_than_can_be_counted_is_no_error(viewer, monkeypatch):
    def too_slow(since):
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(dashboard, "latency_p95", too_slow)

    assert "more predictions than can be counted" in text_of(viewer, "dashboard/traffic/")


def test_each_part_of_the_platform_tells_its_state(viewer):
    html = text_of(viewer, "dashboard/components/")

    for part in ("database", "redis", "workers", "beat", "disk", "artifact_store", "journal"):
        assert f"<strong>{part}</strong>" in html
