"""Reads and counts of the access tables, in domain words."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, models
from django.utils import timezone

if TYPE_CHECKING:
    from aegisml.base.models import ApiSession, LoginFailure  # noqa: F401


class ApiSessionQuerySet(models.QuerySet["ApiSession"]):
    def live(self) -> "ApiSessionQuerySet":
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def ended(self, *, before: timedelta) -> "ApiSessionQuerySet":
        """Sessions that ended longer than `before` ago."""
        return self.filter(expires_at__lt=timezone.now() - before)


class LoginFailureQuerySet(models.QuerySet["LoginFailure"]):
    def locked(self, username: str, *, attempts: int) -> "LoginFailure | None":
        return self.filter(
            username=username, count__gte=attempts, window_ends__gt=timezone.now()
        ).first()

    def count_one(self, username: str, *, window: timedelta) -> None:
        """Add a failure in one statement, so that parallel guesses are all counted."""
        now = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO base_loginfailure (username, count, window_ends) VALUES (%s, 1, %s) "
                "ON CONFLICT (username) DO UPDATE SET "
                "count = CASE WHEN base_loginfailure.window_ends > %s "
                "THEN base_loginfailure.count + 1 ELSE 1 END, "
                "window_ends = EXCLUDED.window_ends",
                [username, now + window, now],
            )
