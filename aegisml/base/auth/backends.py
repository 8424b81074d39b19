"""Password login for the API and the admin alike, with one count of failures."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from aegisml.base.errors import Throttled
from aegisml.base.models import LoginFailure

MAX_NAME = 150


class ThrottledBackend(ModelBackend):
    """Refuses a name after too many failures, even with the right password.

    The count is kept in the database: it outlives restarts and an emptied Redis.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        name = username or ""
        if len(name) > MAX_NAME or "\x00" in name or "\x00" in (password or ""):
            return None
        if lockout(name) is not None:
            raise PermissionDenied  # ends the login whatever other backends say
        user = super().authenticate(request, username=name, password=password, **kwargs)
        if user is None:
            window = timedelta(seconds=settings.LOGIN_LOCKOUT_SECONDS)
            LoginFailure.objects.count_one(name, window=window)
        else:
            LoginFailure.objects.filter(username=name).delete()
        return user


def lockout(username: str) -> Throttled | None:
    """The refusal that a locked name gets now, or None."""
    found = LoginFailure.objects.locked(username, attempts=settings.LOGIN_ATTEMPTS)
    if found is None:
        return None
    return Throttled("Too many failed logins for this name.", retry_after=found.seconds_left())
