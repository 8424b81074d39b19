"""Reads of the feature store, in domain words."""

import re
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from aegisml.base import ids
from aegisml.base.errors import Invalid, NotFound
from features.choices import LIVE, RunStatus, VersionStatus

if TYPE_CHECKING:
    from features.models import (  # noqa: F401
        FeatureSet,
        FeatureView,
        FeatureViewVersion,
        HistoricalJob,
        Label,
        Stream,
    )

_PINNED = re.compile(r"([a-z][a-z0-9_]{1,59})(?:@v([1-9]\d{0,5}))?")
_Run = TypeVar("_Run", bound=models.Model, covariant=True)
ASKED = ("from", "to", "count", "as_known")  # of a historical request


def parse_pin(text: str, *, field: str) -> tuple[str, int | None]:
    """The name and number of "name@v2"; None when no number is given. Raises `Invalid`."""
    match = _PINNED.fullmatch(text)
    if match is None:
        raise Invalid.field(field, f"{text[:80]!r} is not of the form name@v2")
    name, number = match.groups()
    return name, int(number) if number else None


class FeatureViewQuerySet(models.QuerySet["FeatureView"]):
    def with_versions(self) -> "FeatureViewQuerySet":
        """With their versions, newest first, all but the definitions."""
        version: Any = self.model._meta.get_field("versions").related_model
        rows = version.objects.select_related("created_by").defer("definition")
        versions = models.Prefetch("versions", rows.order_by("-number"))
        return self.select_related("stream", "entity", "created_by").prefetch_related(versions)


class StreamQuerySet(models.QuerySet["Stream"]):
    def named(self, name: str) -> "Stream":
        """Raises `NotFound`."""
        # a NUL, which an address may hold, can't be sent to PostgreSQL
        found = None if "\x00" in name else self.filter(name=name).first()
        if found is None:
            raise NotFound("There is no stream of this name.")
        return found


class FeatureViewVersionQuerySet(models.QuerySet["FeatureViewVersion"]):
    def live(self) -> "FeatureViewVersionQuerySet":
        """Those that each event feeds online."""
        return self.filter(online__in=LIVE)

    def held(self, **which: Any) -> "dict[UUID, FeatureViewVersion]":
        """Versions by key, locked in one order until the transaction ends."""
        rows = self.filter(**which).select_related("view__stream", "view__entity")
        return {row.pk: row for row in rows.select_for_update(of=("self",)).order_by("pk")}

    def pinned(self, text: str, *, field: str = "view") -> "FeatureViewVersion":
        """The version that "view@v2" names, or the promoted one of "view".

        Raises `NotFound` when there is none, `Invalid` naming `field` for another form.
        """
        name, number = parse_pin(text, field=field)
        rows = self.select_related("view__stream", "view__entity").filter(view__name=name)
        rows = rows.filter(number=number) if number else rows.filter(status=VersionStatus.PROMOTED)
        found = rows.first()
        if found is None:
            what = (
                f"No feature view version {name}@v{number}"
                if number
                else (f"Feature view {name} is unknown or has no promoted version")
            )
            raise NotFound(f"{what}.")
        return found


class FeatureSetQuerySet(models.QuerySet["FeatureSet"]):
    def with_members(self) -> "FeatureSetQuerySet":
        """With the versions that they pin, all but the definitions."""
        member: Any = self.model._meta.get_field("members").related_model
        rows = member.objects.select_related("version__view").defer("version__definition")
        members = models.Prefetch("members", rows.order_by("position"))
        return self.select_related("stream", "created_by").prefetch_related(members)

    def pinned(self, text: str, *, field: str = "feature_set") -> "FeatureSet":
        """The set that "name@v1" names, or the newest of "name"; raises as for views."""
        name, number = parse_pin(text, field=field)
        rows = self.select_related("stream").filter(name=name).order_by("-number")
        found = (rows.filter(number=number) if number else rows).first()
        if found is None:
            raise NotFound(f"No feature set {text}.")
        return found


class LeasedRunQuerySet(models.QuerySet[_Run]):
    """Work that one worker at a time has, as long as its lease lasts."""

    def stalled(self) -> Self:
        """Running ones whose worker let its lease run out."""
        return self.filter(_stalled())

    def unattended(self) -> Self:
        """Queued ones, and stalled ones."""
        return self.filter(models.Q(status=RunStatus.QUEUED) | _stalled())


class HistoricalJobQuerySet(LeasedRunQuerySet["HistoricalJob"]):
    def shown(self) -> "HistoricalJobQuerySet":
        """With what was asked for, but without the rows of the request, which may be many."""
        asked = {f"asked_{key}": KeyTransform(key, "request") for key in ASKED}
        rows = self.select_related("feature_set__stream", "requested_by")
        return rows.defer("request").annotate(**asked)

    def lookup(self, text: str) -> "HistoricalJob":
        """The job with this id, as in `shown`; raises `NotFound`."""
        identifier = ids.parse_uuid(text)
        found = self.shown().filter(pk=identifier).first() if identifier else None
        if found is None:
            raise NotFound(f"There are no historical features {text[:100]!r}.")
        return found


class LabelQuerySet(models.QuerySet["Label"]):
    def standing(self) -> "LabelQuerySet":
        """Statements that were not taken back."""
        return self.filter(reversal=None, reverses=None)


def _stalled() -> models.Q:
    return models.Q(status=RunStatus.RUNNING, lease_until__lt=timezone.now())
