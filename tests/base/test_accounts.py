"""Roles and first users of a new installation."""

import io
import re

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

from aegisml.base import accounts, audit
from aegisml.base.auth import roles

pytestmark = pytest.mark.django_db


def set_up() -> str:
    out = io.StringIO()
    call_command("setup_roles", stdout=out)
    return out.getvalue()


def test_every_role_is_a_group_with_its_permissions() -> None:
    set_up()
    assert set(Group.objects.values_list("name", flat=True)) == roles.ALL
    viewer = Group.objects.get(name=roles.VIEWER)
    assert not viewer.permissions.exclude(codename__startswith="view_").exists()
    assert not Group.objects.get(name=roles.SERVICE).permissions.exists()


def test_permissions_that_a_role_should_not_have_are_taken_back() -> None:
    set_up()
    viewer, admin = (Group.objects.get(name=name) for name in (roles.VIEWER, roles.ADMIN))
    viewer.permissions.add(*admin.permissions.all())
    set_up()
    assert not viewer.permissions.exclude(codename__startswith="view_").exists()


def test_the_first_users_can_log_in_with_the_passwords_that_are_shown() -> None:
    shown = re.findall(r"^  (\w+) +(\w+) +(\S{20})$", set_up(), re.M)
    assert [(name, role) for name, role, _ in shown] == [
        (name, role) for name, role, _ in accounts.FIRST_USERS
    ]
    for name, role, password in shown:
        body = {"username": name, "password": password}
        pair = Client().post("/api/v1/auth/token", body, content_type="application/json").json()
        me = Client().get("/api/v1/auth/me", headers={"Authorization": f"Bearer {pair['access']}"})
        assert me.json()["roles"] == [role]


def test_a_second_time_changes_no_user_and_shows_no_password() -> None:
    set_up()
    before = list(User.objects.order_by("pk").values())
    assert set_up() == "Roles are up to date; users exist already.\n"
    assert list(User.objects.order_by("pk").values()) == before


def test_nobody_can_log_in_as_the_system() -> None:
    user = audit.system_user()
    assert not user.is_active
    assert not user.has_usable_password()
    assert audit.system_user() == user
