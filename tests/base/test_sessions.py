"""Log in, stay logged in, log out; and what ends a session from outside."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from aegisml.base.auth import roles, tokens
from aegisml.base.models import ApiSession
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def post(path: str, body: dict[str, Any], access: str = "") -> HttpResponse:
    headers = {"Authorization": f"Bearer {access}"} if access else {}
    return Client().post(
        f"/api/v1/auth/{path}", body, content_type="application/json", headers=headers
    )


def log_in(user: User) -> dict[str, Any]:
    answer = post("token", {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 200
    return answer.json()


def refresh(pair: dict[str, Any]) -> HttpResponse:
    return post("refresh", {"refresh": pair["refresh"]})


def me(pair: dict[str, Any]) -> HttpResponse:
    return Client().get("/api/v1/auth/me", headers={"Authorization": f"Bearer {pair['access']}"})


@pytest.fixture
def user() -> User:
    return make_user(roles.DATA_SCIENTIST, username="ada")


def test_logging_in_gives_tokens_that_say_who_one_is(user: User) -> None:
    pair = log_in(user)
    assert pair["expires_in"] == 300
    assert me(pair).json() == {"id": user.pk, "username": "ada", "roles": ["data_scientist"]}


def test_logging_out_kills_the_access_token_at_once(user: User) -> None:
    pair = log_in(user)
    assert me(pair).status_code == 200  # known and cached from here on
    assert post("logout", {}, pair["access"]).status_code == 204
    assert me(pair).status_code == 401
    assert refresh(pair).status_code == 401


def test_logging_out_ends_one_session_and_leaves_the_others(user: User) -> None:
    first, second = log_in(user), log_in(user)
    post("logout", {}, first["access"])
    assert me(second).status_code == 200


def test_a_refresh_token_gives_the_next_pair(user: User) -> None:
    first = log_in(user)
    second = refresh(first).json()
    assert second["refresh"] != first["refresh"]
    assert me(second).status_code == 200
    assert refresh(second).status_code == 200
    assert ApiSession.objects.count() == 1


def test_using_a_refresh_token_twice_revokes_the_whole_family(user: User) -> None:
    first = log_in(user)
    second = refresh(first).json()
    assert refresh(first).status_code == 401
    assert refresh(second).status_code == 401
    tokens.forget_verified()
    assert me(second).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_refresh_token_at_once_one_is_served(user: User) -> None:
    pair = log_in(user)

    def use(_: int) -> int:
        try:
            return refresh(pair).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(use, range(4)))
    assert codes == [200, 401, 401, 401]
    assert not ApiSession.objects.live().exists()


def new_password(user: User) -> None:
    user.set_password("another long password")
    user.save(update_fields=["password"])


def deactivate(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def delete(user: User) -> None:
    user.delete()


def revoke(user: User) -> None:
    user.api_sessions.get().revoke()


@pytest.mark.parametrize("change", [new_password, deactivate, delete, revoke])
def test_what_happens_to_the_account_ends_its_tokens(user: User, change: Any) -> None:
    pair = log_in(user)
    assert me(pair).status_code == 200
    change(user)
    tokens.forget_verified()
    assert me(pair).status_code == 401
    assert refresh(pair).status_code == 401


@pytest.mark.parametrize("change", [deactivate, delete])
def test_who_is_gone_is_refused_at_once_though_the_token_is_cached(user: User, change: Any) -> None:
    pair = log_in(user)
    assert me(pair).status_code == 200
    change(user)
    assert me(pair).status_code == 401


@pytest.mark.parametrize("change", [new_password, deactivate, delete, revoke])
def test_a_cached_token_is_looked_at_again_within_a_minute(
    user: User, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = log_in(user)
    assert me(pair).status_code == 200
    change(user)
    real = tokens.time.time
    monkeypatch.setattr(tokens.time, "time", lambda: real() + 60)
    assert me(pair).status_code == 401


def test_a_lost_role_counts_within_a_minute(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = log_in(user)
    assert me(pair).json()["roles"] == ["data_scientist"]
    user.groups.set([Group.objects.get(name=roles.VIEWER)])
    real = tokens.time.time
    monkeypatch.setattr(tokens.time, "time", lambda: real() + 60)
    assert me(pair).json()["roles"] == ["viewer"]


def test_a_superuser_is_an_admin_and_a_foreign_group_is_no_role() -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)
    root.groups.add(Group.objects.create(name="bowling club"))
    assert me(log_in(root)).json()["roles"] == ["admin"]


def test_an_inactive_account_cannot_log_in(user: User) -> None:
    deactivate(user)
    answer = post("token", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 401


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(user: User) -> None:
    wrong = post("token", {"username": "ada", "password": "wrong"}).json()
    unknown = post("token", {"username": "nobody", "password": "wrong"}).json()
    del wrong["request_id"], unknown["request_id"]
    assert wrong == unknown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "ada"}, "password"),
        ({"password": "x"}, "username"),
        ({"username": "a" * 151, "password": "x"}, "username"),
        ({"username": "ada", "password": "x", "otp": "1"}, "otp"),
        ({"username": ["ada"], "password": "x"}, "username"),
    ],
)
def test_a_bad_login_names_the_field(body: dict[str, Any], field: str) -> None:
    answer = post("token", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
