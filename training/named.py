"""Versions as people name them: "card_fraud@3", "card_fraud@champion"."""

from aegisml.base.errors import NotFound
from models_app.choices import AliasName
from models_app.models import ModelVersion, RegisteredModel

_MAX_DIGITS = 9


def version_of(text: str) -> ModelVersion:
    """The version that "card_fraud@3" names; raises `NotFound`."""
    name, _, number = text.rpartition("@")
    if not name or not (number.isascii() and number.isdecimal()) or len(number) > _MAX_DIGITS:
        raise NotFound(f"{text[:120]!r} is not of the form model@3.")
    return RegisteredModel.objects.lookup(name).versions.numbered(int(number))


def version_or_alias(text: str) -> ModelVersion:
    """What `version_of` finds, or the version behind "card_fraud@champion"; "card_fraud" alone
    means its newest one. Raises `NotFound`."""
    name, _, which = text.partition("@")
    if which.isdecimal():
        return version_of(text)
    versions = RegisteredModel.objects.lookup(name).versions
    if not which:
        found = versions.newest()
        if found is None:
            raise NotFound(f"Model {name} has no version yet.")
        return found
    if which not in AliasName.values:
        known = ", ".join(AliasName.values)
        raise NotFound(f"{which[:40]!r} is neither a version's number nor one of {known}.")
    found = versions.filter(aliases__name=which).first()
    if found is None:
        raise NotFound(f"Model {name} has no {which}.")
    return found
