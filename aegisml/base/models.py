"""Who is logged in through the API, and who failed to."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from aegisml.base.querysets import ApiSessionQuerySet, LoginFailureQuerySet


class ApiSession(models.Model):
    """One login through the API: a family of tokens that lives and dies together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_sessions"
    )
    refresh_jti = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    refreshed_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    objects = ApiSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "API session"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    def revoke(self) -> None:
        """End the session; its access tokens die within `tokens.RECHECK_SECONDS`."""
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])

    revoke.alters_data = True  # type: ignore[attr-defined]


class LoginFailure(models.Model):
    """Failed logins of one name in the current window; kept in the database so that it survives."""

    username = models.CharField(max_length=150, unique=True)
    count = models.PositiveIntegerField(default=0)
    window_ends = models.DateTimeField()

    objects = LoginFailureQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.username}: {self.count}"

    def seconds_left(self) -> int:
        return max(1, int((self.window_ends - timezone.now()) / timedelta(seconds=1)))
