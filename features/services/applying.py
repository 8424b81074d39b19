"""Bring streams, entities, views and sets to what a folder of definitions says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from aegisml.base.errors import AegisError, FieldError, Invalid
from features.choices import VersionStatus
from features.models import Entity, FeatureViewVersion, Stream
from features.services import folders, sets, streams, views
from features.services.folders import Item

# kind: the fields of an item with their types; those in REQUIRED must be there
_TEXT = {"name": str, "description": str}
FIELDS: dict[str, dict[str, Any]] = {
    "streams": {**_TEXT, "definition": dict, "policy": str, "label_delay_days": (int, float)},
    "entities": _TEXT,
    "views": {**_TEXT, "stream": str, "entity": str, "definition": dict, "note": str},
    "sets": {**_TEXT, "members": list},
}
REQUIRED = {"name", "definition", "stream", "members"}
_TYPE_NAMES = {str: "a text", dict: "keys and values", list: "a list", (int, float): "a number"}


@dataclass(frozen=True)
class Step:
    """What applying did with one definition: "created", "new version v3", "unchanged"."""

    kind: str
    name: str
    what: str


@dataclass
class Plan:
    """Steps in their order, and problems as sentences that begin with file and place."""

    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return sum(not step.what.startswith("unchanged") for step in self.steps)


@transaction.atomic
def apply_folder(
    *, actor: User, folder: Path, promote: bool = False, dry_run: bool = False
) -> Plan:
    """Apply all definitions, or none when one of them has a problem; then the plan tells each.

    What is in the folder already stays as it is, what isn't in the folder too.
    `promote` promotes the newest version of each view of the folder. Raises
    `Invalid` when there is no folder.
    """
    items, problems = folders.read(folder)
    plan = Plan(problems=problems)
    for kind in folders.KINDS:
        for item in (item for item in items if item.kind == kind):
            done = _try(plan, item, partial(_APPLY[item.kind], actor, item.fields))
            if done and kind == "views" and promote:
                _try(plan, item, partial(_promote, actor, item.fields, folder))
    if plan.problems or dry_run:
        transaction.set_rollback(True)
    return plan


def _try(plan: Plan, item: Item, change: Callable[[], str]) -> bool:
    """One step of the plan; a refusal becomes problems with their places, and gives False."""
    try:
        with transaction.atomic():
            _refuse_misshapen(item)
            what = change()
    except AegisError as error:
        found = error.errors or (FieldError("", error.detail),)
        texts = (f"{item.place}.{e.field}: {e.message}".replace(".: ", ": ") for e in found)
        plan.problems += texts
        return False
    plan.steps.append(Step(item.kind, item.fields["name"], what))
    return True


def _refuse_misshapen(item: Item) -> None:
    types, problems = FIELDS[item.kind], []
    for name in sorted(REQUIRED & types.keys() - item.fields.keys()):
        problems.append(FieldError(name, "is required"))
    for name, value in item.fields.items():
        if name not in types:
            problems.append(FieldError(name[:60], "unknown key"))
        elif isinstance(value, bool) or not isinstance(value, types[name]):
            problems.append(FieldError(name, f"must be {_TYPE_NAMES[types[name]]}"))
    if problems:
        raise Invalid.fields(problems)


def _apply_stream(actor: User, fields: dict[str, Any]) -> str:
    stream = Stream.objects.filter(name=fields["name"]).first()
    if stream is None:
        streams.create_stream(actor=actor, **fields)
        return "created"
    changes = {key: value for key, value in fields.items() if getattr(stream, key) != value}
    if not changes:
        return "unchanged"
    streams.change_stream(stream=stream, actor=actor, **changes)
    return f"changed: {', '.join(sorted(changes))}"


def _apply_entity(actor: User, fields: dict[str, Any]) -> str:
    entity = Entity.objects.filter(name=fields["name"]).first()
    if entity is None:
        views.create_entity(actor=actor, **fields)
        return "created"
    if fields.get("description", entity.description) == entity.description:
        return "unchanged"
    views.describe_entity(entity=entity, actor=actor, description=fields["description"])
    return "changed: description"


def _apply_view(actor: User, fields: dict[str, Any]) -> str:
    stream = Stream.objects.filter(name=fields["stream"]).first()
    if stream is None:
        raise Invalid.field("stream", f"there is no stream {fields['stream']!r}")
    name = fields.get("entity")
    entity = Entity.objects.filter(name=name).first() if name else None
    if name and entity is None:
        raise Invalid.field("entity", f"there is no entity {name!r}")
    version = views.define_view(actor=actor, **{**fields, "stream": stream, "entity": entity})
    if not version.is_new:
        return f"unchanged, v{version.number}"
    return "created, v1" if version.number == 1 else f"new version v{version.number}"


def _promote(actor: User, fields: Mapping[str, Any], folder: Path) -> str:
    newest = FeatureViewVersion.objects.filter(view__name=fields["name"]).order_by("-number")
    version = newest.select_related("view").first()
    if version is None:
        raise Invalid.field("name", "there is nothing to promote")
    if version.status == VersionStatus.PROMOTED:
        return f"unchanged, v{version.number} is promoted"
    views.promote(version=version, actor=actor, reason=f"Applied from {folder.name}.")
    return f"promoted v{version.number}"


def _apply_set(actor: User, fields: dict[str, Any]) -> str:
    made = sets.create_set(actor=actor, **fields)
    return f"created, v{made.number}" if made.is_new else f"unchanged, v{made.number}"


_APPLY: dict[str, Callable[[User, dict[str, Any]], str]] = {
    "streams": _apply_stream, "entities": _apply_entity, "views": _apply_view, "sets": _apply_set,
}  # fmt: skip
