"""Users, roles, API sessions and schedules in the admin."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from aegisml.base import audit
from aegisml.base.auth import roles
from aegisml.base.models import ApiSession
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_client(log_in):
    return log_in(roles.ADMIN)


def session_of(user, **changes):
    hour = timezone.now() + timedelta(hours=1)
    fields = {"refresh_jti": "x", "expires_at": hour, **changes}
    return ApiSession.objects.create(user=user, **fields)


def person_form(user, **changes):
    return {
        "username": user.username, "first_name": "", "last_name": "", "email": "",
        "is_active": "on", "is_staff": "on", "groups": [group.pk for group in user.groups.all()],
        **changes,
    }  # fmt: skip


def test_an_account_is_made_with_a_role(admin_client):
    group = Group.objects.get(name=roles.VIEWER)

    admin_client.post(
        pages.add("auth_user"),
        {
            "username": "ann", "password1": factories.PASSWORD, "password2": factories.PASSWORD,
            "groups": [group.pk], "is_staff": "on",
        },
    )  # fmt: skip

    ann = User.objects.get(username="ann")
    assert (list(ann.groups.all()), ann.is_staff) == ([group], True)
    assert ann.check_password(factories.PASSWORD)


def test_an_administrator_who_is_no_superuser_makes_none(log_in):
    person = factories.make_user(roles.ADMIN)

    log_in(person).post(pages.change(person), person_form(person, is_superuser="on"))

    person.refresh_from_db()
    assert not person.is_superuser


@pytest.mark.parametrize("page", ["change", "password"])
def test_an_administrator_who_is_no_superuser_does_not_touch_one(admin_client, page):
    root = User.objects.create_superuser("root", password=factories.PASSWORD)

    answer = admin_client.post(
        f"/admin/auth/user/{root.pk}/{page}/",
        person_form(root, password1="new long password", password2="new long password"),
    )

    root.refresh_from_db()
    assert answer.status_code == 403
    assert root.check_password(factories.PASSWORD)


def test_the_account_of_the_workers_is_not_changed(admin_client):
    system = audit.system_user()

    assert admin_client.post(pages.change(system), person_form(system)).status_code == 403


def test_the_groups_of_roles_are_not_changed(admin_client):
    group = Group.objects.get(name=roles.VIEWER)

    assert admin_client.post(pages.change(group), {"name": "x"}).status_code == 403


def test_a_session_is_revoked_with_a_reason(admin_client):
    session = session_of(factories.make_user(roles.SERVICE))

    admin_client.post(
        pages.action(session, "revoke"), {"reason": "stolen laptop", "_form_submitted": "on"}
    )

    session.refresh_from_db()
    assert session.revoked_at is not None
    assert LogEntry.objects.filter(change_message="Revoked. stolen laptop").exists()


def test_sessions_are_revoked_from_the_list(admin_client):
    user = factories.make_user(roles.SERVICE)
    live, ended = session_of(user), session_of(user, expires_at=timezone.now())

    admin_client.post(
        pages.changelist("base_apisession"),
        {"action": "revoke_selected", "_selected_action": [live.pk, ended.pk]},
    )

    live.refresh_from_db()
    ended.refresh_from_db()
    assert live.revoked_at is not None
    assert ended.revoked_at is None


def test_a_session_that_is_over_has_no_revoke_button(admin_client):
    session = session_of(factories.make_user(roles.SERVICE), expires_at=timezone.now())

    html = admin_client.get(pages.change(session)).content.decode()

    assert pages.action(session, "revoke") not in html


def test_tokens_are_nowhere_on_a_sessions_page(admin_client):
    session = session_of(factories.make_user(roles.SERVICE), refresh_jti="very-secret-jti")

    for url in (pages.change(session), pages.changelist("base_apisession")):
        assert "very-secret-jti" not in admin_client.get(url).content.decode()


def test_a_periodic_task_is_paused_and_nothing_else(admin_client):
    every = IntervalSchedule.objects.create(every=10, period=IntervalSchedule.SECONDS)
    task = PeriodicTask.objects.create(name="beat", task="some.task", interval=every)

    admin_client.post(pages.change(task), {"description": "paused for now", "task": "evil.task"})

    task.refresh_from_db()
    assert (task.enabled, task.task) == (False, "some.task")
    assert (
        "Paused"
        in admin_client.get(pages.changelist("django_celery_beat_periodictask")).content.decode()
    )
