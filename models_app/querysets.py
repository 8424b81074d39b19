"""Reads of the registry, in domain words."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Max

from aegisml.base import ids
from aegisml.base.errors import Invalid, NotFound
from models_app.choices import AliasName

if TYPE_CHECKING:
    from models_app.models import ModelVersion, RegisteredModel


_MAX_DIGITS = 9  # of a number that fits the column


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def active(self) -> "RegisteredModelQuerySet":
        return self.filter(retired_at=None)

    def lookup(self, text: str) -> "RegisteredModel":
        """The model with this id or this name; raises `NotFound`."""
        identifier = ids.parse_uuid(text)
        found = self.filter(pk=identifier) if identifier else self.filter(name=text)
        model = None if "\x00" in text else found.first()  # which PostgreSQL can't even compare
        if model is None:
            raise NotFound(f"There is no model {text[:100]!r}.")
        return model

    def with_versions(self) -> "RegisteredModelQuerySet":
        """With `newest_version` and each alias, for lists."""
        return self.annotate(newest_version=Max("versions__number")).prefetch_related(
            "aliases__version"
        )


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    def newest(self) -> "ModelVersion | None":
        return self.order_by("-number").first()

    def numbered(self, number: int) -> "ModelVersion":
        """The version with this number; raises `NotFound`."""
        version = self.filter(number=number).first()
        if version is None:
            raise NotFound(f"This model has no version {number}.")
        return version

    def named(self, text: str, *, field: str = "version") -> "ModelVersion":
        """The version that "model@3", "model@v3" or "model@champion" means.

        Raises `Invalid` naming `field` for any other text, `NotFound` when there is none.
        """
        name, at, which = text.rpartition("@")
        number = which.removeprefix("v")
        is_number = number.isdecimal() and number.isascii() and len(number) <= _MAX_DIGITS
        if not at or not name or not (is_number or which in AliasName.values):
            raise Invalid.field(field, f"{text[:100]!r} must be like fraud@3 or fraud@champion")
        rows = self.filter(model__name=name) if "\x00" not in name else self.none()
        found = rows.filter(number=number) if is_number else rows.filter(aliases__name=which)
        version = found.first()
        if version is None:
            raise NotFound(f"There is no version {text[:100]!r}.")
        return version

    def champion(self) -> "ModelVersion | None":
        return self.filter(aliases__name=AliasName.CHAMPION).first()
