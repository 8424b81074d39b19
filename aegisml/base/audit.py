"""Who changed what and why, on the admin's History page whatever the door was."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

SYSTEM_USERNAME = "system"


def record(*, actor: User, row: Model, what: str, flag: int = CHANGE) -> None:
    """Write one history line about `row`; call it inside the change's transaction."""
    LogEntry.objects.create(
        user_id=actor.pk,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=flag,
        change_message=what,
    )


def system_user() -> User:
    """The account in whose name workers act; it can't log in."""
    user, made = get_user_model().objects.get_or_create(
        username=SYSTEM_USERNAME, defaults={"is_active": False}
    )
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user
