"""Options that the commands of training have in common."""

import argparse
import json
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from aegisml.base import audit, moments
from training.management.terminal import BAD_REQUEST


def acting(name: str | None) -> User:
    """In whose name a command acts: this person's, or the system's."""
    if name is None:
        return audit.system_user()
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user {name!r}.", returncode=BAD_REQUEST)
    return user


def parameter(text: str) -> tuple[str, Any]:
    """NAME=VALUE with the value as JSON, or text."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def moment(text: str) -> Any:
    """A time in ISO 8601 with its zone."""
    try:
        return moments.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
