"""Roles as groups, and the first people of a new installation."""

import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from aegisml.base import audit
from aegisml.base.auth import roles

# name, role, may open the admin
FIRST_USERS = (
    ("admin", roles.ADMIN, True),
    ("operator", roles.OPERATOR, True),
    ("scientist", roles.DATA_SCIENTIST, True),
    ("service", roles.SERVICE, False),
)


@dataclass(frozen=True)
class NewUser:
    """An account that was just made; its password is shown once and kept nowhere."""

    username: str
    role: str
    password: str


@transaction.atomic
def set_up_roles() -> None:
    """Make each role's group and give it exactly its permissions. Safe to repeat."""
    known = _all_permissions()
    for role, wanted in roles.ADMIN_PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in wanted])
    audit.system_user()


@transaction.atomic
def create_first_users() -> list[NewUser]:
    """One account a role, with random passwords, unless somebody can log in already."""
    users = get_user_model().objects
    if users.filter(is_active=True).exists():
        return []
    return [_create(name, role, staff=staff) for name, role, staff in FIRST_USERS]


def _create(name: str, role: str, *, staff: bool) -> NewUser:
    password = secrets.token_urlsafe(15)
    user = get_user_model().objects.create_user(
        username=name, password=password, is_staff=staff, is_superuser=role == roles.ADMIN
    )
    user.groups.add(Group.objects.get(name=role))
    return NewUser(username=name, role=role, password=password)


def _all_permissions() -> dict[str, Permission]:
    rows = Permission.objects.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
