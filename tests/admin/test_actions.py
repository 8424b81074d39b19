"""Buttons: nothing changes on a GET, nothing without the right."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from aegisml.base.auth import roles
from aegisml.base.models import ApiSession
from features.models import FeatureView
from inference import services as serving
from inference.models import Deployment
from tests import factories
from tests.admin import pages
from training.models import TrainingJob

pytestmark = pytest.mark.django_db

ACTIONS = [
    (model.__name__, name)
    for model, model_admin in admin.site._registry.items()
    for name in (*model_admin.actions_detail, *model_admin.actions_row)
]
CONFIRMED = {"reason": "x", "_form_submitted": "on"}


def state_of(row):
    """Everything that a button could change: the row, rows made beside it, the history."""
    beside = [model.objects.count() for model in (TrainingJob, Deployment, FeatureView, LogEntry)]
    return type(row).objects.filter(pk=row.pk).values().get(), beside


@pytest.fixture
def rows():
    """A row for every model that has buttons."""
    version = factories.trained_version()
    user = factories.make_user(roles.SERVICE)
    return {
        "RegisteredModel": version.model,
        "ModelVersion": version,
        "TrainingJob": factories.make_job(version.model),
        "Study": factories.make_study(version.model),
        "FeatureViewVersion": factories.make_view(promote=False),
        "FeatureSet": factories.make_set(),
        "Deployment": serving.deploy(model=version.model, actor=version.created_by),
        "ApiSession": ApiSession.objects.create(
            user=user, refresh_jti="x", expires_at=timezone.now() + timezone.timedelta(hours=1)
        ),
    }


def test_no_list_has_buttons_that_act_at_once():
    assert not [found for found in admin.site._registry.values() if found.actions_list]


def test_every_button_names_its_permission():
    for model_admin in admin.site._registry.values():
        for found in model_admin._get_base_actions_detail():
            assert found.method.allowed_permissions


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_a_get_changes_nothing(log_in, rows, model, name):
    row = rows[model]
    before = state_of(row)

    answer = log_in(roles.ADMIN).get(pages.action(row, name))

    assert answer.status_code in (200, 302)
    assert state_of(row) == before


@pytest.mark.parametrize(("model", "name"), ACTIONS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_a_role_may_press_nothing(log_in, rows, model, name, method):
    row = rows[model]
    client = log_in(User.objects.create_user("plain", is_staff=True))
    before = state_of(row)

    answer = getattr(client, method)(pages.action(row, name), CONFIRMED)

    assert answer.status_code == 403
    assert state_of(row) == before


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_a_viewer_may_press_nothing(log_in, rows, model, name):
    answer = log_in(roles.VIEWER).post(pages.action(rows[model], name), CONFIRMED)

    assert answer.status_code == 403


def test_a_dialog_without_a_reason_asks_for_it(log_in, rows):
    model = rows["RegisteredModel"]

    answer = log_in(roles.OPERATOR).post(pages.action(model, "retire"), {"reason": ""})

    assert "This field is required" in answer.content.decode()
    model.refresh_from_db()
    assert not model.is_retired


def test_a_dialog_for_a_row_that_is_gone_is_not_found(log_in, rows):
    answer = log_in(roles.OPERATOR).post("/admin/training/trainingjob/nonsense/cancel/", CONFIRMED)

    assert answer.status_code == 404


def test_htmx_is_sent_on_by_its_own_header(log_in, rows):
    job = rows["TrainingJob"]

    answer = log_in(roles.OPERATOR).post(
        pages.action(job, "cancel"),
        CONFIRMED,
        headers={"HX-Request": "true"},
    )

    assert (answer.status_code, answer["HX-Redirect"]) == (200, pages.change(job))
