"""What people do with feature sets: the pinned lists of features that models use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import ADDITION, DELETION
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError

from aegisml.base import audit
from aegisml.base.errors import Conflict, FieldError, Invalid, NotFound
from features.models import FeatureSet, FeatureSetMember, FeatureViewVersion, Numbering
from features.services import usage, views

MAX_MEMBERS = 50
MAX_FEATURES = 1000


@dataclass(frozen=True)
class Member:
    """Features of one version, in the order in which a model takes them."""

    version: FeatureViewVersion
    names: tuple[str, ...]


@transaction.atomic
def create_set(
    *, actor: User, name: str, members: Sequence[Mapping[str, Any]], description: str = ""
) -> FeatureSet:
    """Pin features as the next number of `name`; the versions they come from go live.

    A member is {"view": "name@v2", "features": [...]}: a view without a number
    means its promoted version, and no features mean all of them. The newest set
    of the name comes back when it holds the same. Raises `Invalid` naming each
    wrong part: all views must read one stream, and no feature's name be there twice.
    """
    views.refuse_bad_name(name)
    numbering = Numbering.locked("set", name)
    chosen = _checked_members(members)
    newest = FeatureSet.objects.filter(name=name).order_by("-number").first()
    if newest is not None and _content(newest) == [(m.version.pk, m.names) for m in chosen]:
        return newest
    made = FeatureSet(
        name=name,
        number=numbering.take(),
        description=description,
        stream=chosen[0].version.view.stream,
        created_by=actor,
    )
    views.refuse_unclean(made)
    made.save()
    made.is_new = True
    FeatureSetMember.objects.bulk_create(
        FeatureSetMember(feature_set=made, version=m.version, position=i, names=list(m.names))
        for i, m in enumerate(chosen)
    )
    views.settle(*(member.version for member in chosen))
    pinned = ", ".join(str(member.version) for member in chosen)
    audit.record(actor=actor, row=made, what=f"Pinned {pinned}.", flag=ADDITION)
    return made


@transaction.atomic
def discard_set(*, feature_set: FeatureSet, actor: User, reason: str) -> None:
    """Delete a set that nobody uses; versions that nothing else pins go off.

    Its number isn't given again. Raises `Conflict` naming what uses it.
    """
    Numbering.locked("set", feature_set.name)
    if not FeatureSet.objects.filter(pk=feature_set.pk).exists():
        raise Conflict(f"{feature_set} was discarded already.")
    keys = list(feature_set.members.values_list("version", flat=True))
    pinned = FeatureViewVersion.objects.held(pk__in=keys)
    what = f"Discarded. {reason}".strip()
    audit.record(actor=actor, row=feature_set, what=what, flag=DELETION)
    try:
        with transaction.atomic():
            feature_set.delete()
    except ProtectedError as error:
        users = usage.named(list(error.protected_objects))
        raise Conflict(f"{feature_set} is used by {users}.") from None
    views.settle(*pinned.values())


def _content(feature_set: FeatureSet) -> list[tuple[Any, tuple[str, ...]]]:
    return [(row.version_id, tuple(row.names)) for row in feature_set.members.all()]


def _checked_members(members: Sequence[Mapping[str, Any]]) -> list[Member]:
    """The versions and features that `members` name; the versions stay locked, so that none is
    discarded before it is pinned."""
    if not 1 <= len(members) <= MAX_MEMBERS:
        raise Invalid.field("members", f"must be a list of 1 to {MAX_MEMBERS} views")
    problems: list[FieldError] = []
    found = [_member(f"members.{i}", member, problems) for i, member in enumerate(members)]
    if problems:
        raise Invalid.fields(problems)
    chosen = [member for member in found if member is not None]
    _refuse_mixture(chosen)
    keys = [member.version.pk for member in chosen]
    locked = FeatureViewVersion.objects.held(pk__in=keys)
    if len(locked) < len(chosen):
        raise Conflict("A version was discarded just now; look at the views again.")
    return [Member(locked[member.version.pk], member.names) for member in chosen]


def _member(place: str, given: Any, problems: list[FieldError]) -> Member | None:
    if problem := _shape_problem(given):
        problems.append(FieldError(place, problem))
        return None
    try:
        version = FeatureViewVersion.objects.pinned(given["view"], field=f"{place}.view")
    except Invalid as error:
        problems += error.errors
        return None
    except NotFound as error:
        problems.append(FieldError(f"{place}.view", error.detail))
        return None
    known = version.compiled.names
    names = known if given.get("features") is None else tuple(given["features"])
    if not names:
        problems.append(FieldError(f"{place}.features", "must name at least one feature"))
    for name in names:
        if name not in known:
            text = f"{version} has no feature {str(name)[:60]!r}; it has {', '.join(known)}"
            problems.append(FieldError(f"{place}.features", text))
    return Member(version, names)


def _shape_problem(given: Any) -> str | None:
    if not isinstance(given, Mapping) or not isinstance(given.get("view"), str):
        return "must have a view, such as name@v2, and may have features"
    if unknown := given.keys() - {"view", "features"}:
        return f"unknown key {str(min(unknown, key=str))[:60]!r}"
    names = given.get("features")
    if names is not None and not (
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    ):
        return "features must be a list of names"
    return None


def _refuse_mixture(chosen: Sequence[Member]) -> None:
    """Views of several streams, a version twice, a feature's name twice, or too many of them."""
    problems: list[FieldError] = []
    stream = chosen[0].version.view.stream
    owners: dict[str, FeatureViewVersion] = {}
    taken: set[Any] = set()
    for i, member in enumerate(chosen):
        version = member.version
        if version.view.stream_id != stream.pk:
            text = f"{version} reads {version.view.stream}, the views before it {stream}"
            problems.append(FieldError(f"members.{i}.view", text))
        if version.pk in taken:
            problems.append(FieldError(f"members.{i}.view", f"{version} is there twice"))
            continue
        taken.add(version.pk)
        for name in member.names:
            if name in owners:
                text = f"{name!r} is there already, from {owners[name]}"
                problems.append(FieldError(f"members.{i}.features", text))
            owners[name] = version
    if len(owners) > MAX_FEATURES:
        problems.append(FieldError("members", f"must hold at most {MAX_FEATURES} features"))
    if problems:
        raise Invalid.fields(problems)
