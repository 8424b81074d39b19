"""Stretches of time that people ask about, from one moment up to, not including, another."""

from collections.abc import Iterator
from datetime import datetime

from aegisml.base import moments
from aegisml.base.errors import FieldError


def stretch_problems(since: datetime, until: datetime) -> Iterator[FieldError]:
    """What is wrong with [since, until), under the names `from` and `to`."""
    for name, moment in (("from", since), ("to", until)):
        if not moments.FIRST <= moment < moments.LAST:
            yield FieldError(name, moments.OUTSIDE)
    if since >= until:
        yield FieldError("to", "must be later than from")
