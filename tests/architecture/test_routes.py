"""No route is open by oversight: each asks for a role, or stands on a list of open ones."""

from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from tests.architecture.routes import METHODS, NOBODYS_ID, Route, all_routes, api_routes
from tests.factories import api_client, make_model

# template -> what anyone may do there
OPEN = {
    "": {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"},  # sends to the admin
    "api/v1/auth/token": {"POST", "OPTIONS"},
    "api/v1/auth/refresh": {"POST", "OPTIONS"},
    "api/schema": {"GET", "HEAD", "OPTIONS"},
    "api/docs": {"GET", "HEAD", "OPTIONS"},
    "api/redoc": {"GET", "HEAD", "OPTIONS"},
    "livez": {"GET", "HEAD"},
    "healthz": {"GET", "HEAD"},
    "readyz": {"GET", "HEAD"},
    "health": {"GET", "HEAD"},
}
# the edge guards these itself, in front of Django and behind it
GUARDED_BY_THE_EDGE = {
    "api/v1/models/<str:model_id>/predict",
    "api/v1/models/<str:model_id>/batch-predict",
}
# the ways in and out of the admin
ADMIN_OPEN = {"admin/login/", "admin/logout/", "admin/jsi18n/"}


def is_refused(route: Route, method: str) -> bool:
    answer = Client().generic(method, route.path, b"{}", content_type="application/json")
    if answer.status_code in (401, 404, 405):
        return True
    to_login = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    return route.template.startswith("admin/") and (to_login or answer.status_code == 403)


@pytest.mark.django_db
def test_nothing_answers_an_anonymous_caller_but_the_open_routes() -> None:
    answered = [
        f"{method} /{route.template}"
        for route in all_routes()
        if route.template not in ADMIN_OPEN
        for method in METHODS
        if method not in OPEN.get(route.template, set()) and not is_refused(route, method)
    ]
    assert answered == []


def test_every_api_view_says_which_roles_may_call_each_method() -> None:
    silent = []
    for route in api_routes():
        handlers = {m for m in METHODS if hasattr(route.view_class, m.lower())} - {"OPTIONS"}
        roles = getattr(route.view_class, "roles", {})
        missing = handlers - set(roles) - OPEN.get(route.template, set())
        silent += [f"{method} {route.template}" for method in sorted(missing - {"HEAD"})]
    assert silent == []


@pytest.mark.django_db
def test_no_method_on_any_route_of_a_real_model_is_a_server_error(own_folders: Path) -> None:
    admin = api_client(roles.ADMIN)
    name = make_model().name
    broken = [
        f"{method} {route.template}: {answer.status_code}"
        for route in api_routes()
        if not route.template.endswith("auth/logout")
        for method in METHODS
        if (answer := send(admin, method, route.path.replace(NOBODYS_ID, name))).status_code
        in (500, 501, 502)
    ]
    assert broken == []


def send(client: APIClient, method: str, path: str) -> HttpResponse:
    return client.generic(method, path, b"{}", content_type="application/json")


def test_only_listed_api_views_let_callers_in_without_the_role_check() -> None:
    unguarded = {
        route.template
        for route in api_routes()
        if not route.view_class.permission_classes or not route.view_class.authentication_classes
    }
    assert unguarded == {t for t in OPEN if t.startswith("api/v1/")} | GUARDED_BY_THE_EDGE


def test_the_list_of_open_routes_names_existing_ones_only() -> None:
    templates = {route.template for route in all_routes()}
    assert set(OPEN) | ADMIN_OPEN | GUARDED_BY_THE_EDGE <= templates


def test_the_sweep_sees_a_route_that_is_open() -> None:
    probe = next(route for route in all_routes() if route.template == "livez")
    assert not is_refused(probe, "GET")
