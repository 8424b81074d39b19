"""Who may open what in the admin."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from aegisml.base.auth import roles
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db


@pytest.fixture
def plain_staff(log_in):
    return log_in(User.objects.create_user("plain", password=factories.PASSWORD, is_staff=True))


@pytest.mark.parametrize("role", pages.ROLES)
def test_each_role_opens_its_lists_and_no_others(log_in, role):
    client = log_in(role)

    opened = {page for page in pages.LISTS if client.get(pages.changelist(page)).status_code == 200}

    assert opened == {page for page, allowed in pages.LISTS.items() if role in allowed}


@pytest.mark.parametrize("role", pages.ROLES)
def test_the_sidebar_shows_only_what_may_be_opened(log_in, role):
    html = log_in(role).get("/admin/").content.decode()
    sidebar = html[html.index('id="nav-sidebar-apps"') : html.index('id="main"')]

    shown = {page for page in pages.LISTS if pages.changelist(page) in sidebar}

    assert shown == {page for page, allowed in pages.LISTS.items() if role in allowed}


@pytest.mark.parametrize("page", pages.LISTS)
def test_staff_without_a_role_see_nothing(plain_staff, page):
    answer = plain_staff.get(pages.changelist(page))

    assert answer.status_code == 403
    assert "Your roles don't cover this." in answer.content.decode()


def test_staff_without_a_role_are_told_whom_to_ask(plain_staff):
    assert "Ask an administrator" in plain_staff.get("/admin/").content.decode()


@pytest.mark.parametrize("fragment", ["components", "traffic", "jobs"])
def test_dashboard_fragments_need_the_same_rights_as_their_rows(plain_staff, fragment):
    assert plain_staff.get(f"/admin/dashboard/{fragment}/").status_code == 403


def test_people_who_are_not_staff_get_the_login(log_in):
    outsider = factories.make_user(roles.ADMIN, staff=False)

    answer = log_in(outsider).get("/admin/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_an_address_that_is_nowhere_is_a_page_for_people(log_in):
    answer = log_in(roles.ADMIN).get("/admin/training/nonsense/1/")

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_nobody_deletes_anything():
    request = type("Request", (), {"user": User(is_superuser=True, is_active=True)})()

    deletable = [
        model.__name__
        for model, model_admin in admin.site._registry.items()
        if model_admin.has_delete_permission(request)
    ]

    assert deletable == []


def test_a_locked_out_name_cannot_enter_the_admin(settings):
    factories.make_user(roles.ADMIN, username="victim")
    client = Client()
    for _ in range(settings.LOGIN_ATTEMPTS):
        client.post("/admin/login/", {"username": "victim", "password": "wrong"})

    client.post("/admin/login/", {"username": "victim", "password": factories.PASSWORD})

    assert client.get("/admin/").status_code == 302
