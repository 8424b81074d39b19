"""Guessing passwords: few tries, one count for every door."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from aegisml.base.auth import roles
from aegisml.base.models import LoginFailure
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def user() -> User:
    return make_user(roles.ADMIN, username="ada")


def log_in(password: str, *, username: str = "ada", address: str = "") -> HttpResponse:
    headers = {"X-Forwarded-For": address} if address else {}
    body = {"username": username, "password": password}
    return Client().post(
        "/api/v1/auth/token", body, content_type="application/json", headers=headers
    )


def log_in_to_admin(password: str) -> bool:
    client = Client()
    client.post("/admin/login/", {"username": "ada", "password": password})
    return "_auth_user_id" in client.session


def fail(times: int) -> list[int]:
    return [log_in(f"guess {i}").status_code for i in range(times)]


def test_after_five_failures_the_right_password_is_refused_too() -> None:
    assert fail(5)[:4] == [401] * 4
    answer = log_in(PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 300
    assert answer["Content-Type"] == "application/problem+json"


def test_a_login_in_time_clears_the_count() -> None:
    fail(4)
    assert log_in(PASSWORD).status_code == 200
    assert fail(4) == [401] * 4
    assert log_in(PASSWORD).status_code == 200


def test_a_locked_name_does_not_lock_another() -> None:
    make_user(roles.VIEWER, username="bob")
    fail(5)
    assert log_in(PASSWORD, username="bob").status_code == 200


def test_the_lock_ends() -> None:
    fail(5)
    LoginFailure.objects.update(window_ends=timezone.now() - timedelta(seconds=1))
    assert log_in(PASSWORD).status_code == 200


def test_a_new_address_does_not_help() -> None:
    for i in range(5):
        log_in("guess", address=f"203.0.113.{i}")
    assert log_in(PASSWORD, address="203.0.113.99").status_code == 429


def test_an_emptied_redis_does_not_help(redis_connection: redis.Redis) -> None:
    fail(5)
    redis_connection.flushall()
    assert log_in(PASSWORD).status_code == 429


def test_failures_at_the_api_lock_the_admin() -> None:
    assert log_in_to_admin(PASSWORD)
    fail(5)
    assert not log_in_to_admin(PASSWORD)


def test_failures_at_the_admin_lock_the_api() -> None:
    for i in range(5):
        assert not log_in_to_admin(f"guess {i}")
    assert log_in(PASSWORD).status_code == 429


def test_an_unknown_name_is_locked_like_a_known_one() -> None:
    codes = [log_in("guess", username="nobody").status_code for _ in range(6)]
    assert codes == fail(6)
    assert codes[-1] == 429


@pytest.mark.django_db(transaction=True)
def test_guesses_made_at_the_same_time_are_all_counted() -> None:
    def guess(number: int) -> None:
        try:
            log_in(f"guess {number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(guess, range(5)))
    assert LoginFailure.objects.get(username="ada").count == 5
    assert log_in(PASSWORD).status_code == 429
