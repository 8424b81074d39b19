"""What people do with entities, feature views and their versions."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.models import ADDITION, DELETION
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from aegisml.base import audit
from aegisml.base.errors import Conflict, FieldError, Invalid
from features.choices import VersionStatus
from features.ml.compiler import compile_view
from features.ml.definition import View
from features.ml.errors import DefinitionError
from features.models import Entity, FeatureView, FeatureViewVersion, Numbering, Stream
from features.models.events import NAME_RULE
from features.services import online, usage

MAX_DEFINITION = 200_000


@transaction.atomic
def create_entity(*, actor: User, name: str, description: str = "") -> Entity:
    """Name what features can be about; raises `Invalid`, or `Conflict` for a taken name."""
    entity = Entity(name=name, description=description)
    refuse_unclean(entity)
    try:
        with transaction.atomic():
            entity.save()
    except IntegrityError:
        raise Conflict(f"name: there is already an entity {name!r}.") from None
    audit.record(actor=actor, row=entity, what=f"Added entity {name}.", flag=ADDITION)
    return entity


@transaction.atomic
def describe_entity(*, entity: Entity, actor: User, description: str) -> Entity:
    """Change an entity's description: its name stands in definitions and stays."""
    if entity.description != description:
        entity.description = description
        refuse_unclean(entity)
        entity.save(update_fields=["description"])
        audit.record(actor=actor, row=entity, what="Changed description.")
    return entity


def checked_definition(
    *, stream: Stream, entity: Entity | None, definition: Any
) -> tuple[dict[str, Any], View]:
    """The definition as it is kept, and compiled.

    Raises `Invalid` naming each wrong part, such as `definition.features.2.window`.
    """
    if not isinstance(definition, Mapping):
        raise Invalid.field("definition", "must be an object")
    name = entity.name if entity else None
    if definition.get("entity", name) != name:
        raise Invalid.field("definition.entity", f"differs from the view's entity, {name}")
    kept = {key: value for key, value in definition.items() if value is not None}
    kept["entity"] = name
    canonical(kept, field="definition")
    try:
        return kept, compile_view(kept, stream.schema)
    except DefinitionError as error:
        found = [FieldError(_placed(place), text) for place, text in error.problems]
        raise Invalid.fields(found) from None


def _placed(place: str) -> str:
    if place == "entity":  # the view's own field: the definition needn't say it
        return place
    return place if place == "definition" else f"definition.{place}"


def canonical(data: Any, *, field: str) -> bytes:
    """JSON with one spelling, which PostgreSQL can keep; raises `Invalid` naming `field`."""
    try:
        text = json.dumps(
            data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
        ).encode()
    except (ValueError, TypeError, RecursionError):  # NaN, a date, a key that is no text
        raise Invalid.field(field, "must be JSON, without NaN or Infinity") from None
    if len(text) > MAX_DEFINITION:
        raise Invalid.field(field, f"must not be longer than {MAX_DEFINITION:,} characters")
    if b"\\u0000" in text:
        raise Invalid.field(field, "must not hold a NUL character")
    return text


@transaction.atomic
def define_view(  # noqa: PLR0913 - they are the view's and the version's fields
    *,
    actor: User,
    name: str,
    stream: Stream,
    entity: Entity | None,
    definition: Any,
    description: str = "",
    note: str = "",
) -> FeatureViewVersion:
    """Make a view with its version 1, or a view's next version; it is staged.

    The newest version itself comes back when it has the same definition. A
    description that is given replaces the view's. Raises `Invalid` naming each
    wrong part, `Conflict` when the view reads another stream or is of another entity.
    """
    refuse_bad_name(name)
    numbering = Numbering.locked("view", name)
    kept, _ = checked_definition(stream=stream, entity=entity, definition=definition)
    view = _view(actor=actor, name=name, stream=stream, entity=entity, description=description)
    digest = hashlib.sha256(canonical(kept, field="definition")).hexdigest()
    newest = view.versions.select_related("view__stream", "view__entity").first()
    if newest is not None and newest.digest == digest:
        return newest
    version = FeatureViewVersion(
        view=view,
        number=numbering.take(),
        definition=kept,
        digest=digest,
        note=note,
        created_by=actor,
    )
    refuse_unclean(version)
    version.save()
    version.is_new = True
    what = f"Defined version {version.number}. {note}".strip()
    audit.record(actor=actor, row=version, what=what, flag=ADDITION)
    return version


def _view(
    *, actor: User, name: str, stream: Stream, entity: Entity | None, description: str
) -> FeatureView:
    """The view of this name, made when there is none."""
    view = FeatureView.objects.select_related("stream", "entity").filter(name=name).first()
    if view is None:
        view = FeatureView(
            name=name, stream=stream, entity=entity, description=description, created_by=actor
        )
        refuse_unclean(view)
        view.save()
        audit.record(actor=actor, row=view, what=f"Added feature view {name}.", flag=ADDITION)
        return view
    if view.stream_id != stream.pk:
        raise Conflict(f"stream: {name} reads {view.stream}; a new view can read another stream.")
    if view.entity != entity:
        raise Conflict(f"entity: {name} is of {view.entity or 'no entity'}; make a new view.")
    if description and view.description != description:
        view.description = description
        refuse_unclean(view)
        view.save(update_fields=["description"])
        audit.record(actor=actor, row=view, what="Changed description.")
    return view


@transaction.atomic
def promote(*, version: FeatureViewVersion, actor: User, reason: str) -> FeatureViewVersion:
    """Make `version` the one that its view's name means; the one before is superseded.

    It goes live, and the one before goes off unless a set pins it. Nothing
    happens when it is promoted already. Raises `Conflict` when it is gone.
    """
    versions = FeatureViewVersion.objects.held(view=version.view_id)
    new = versions.get(version.pk)
    if new is None:
        raise Conflict(f"{version} was discarded.")
    if new.status == VersionStatus.PROMOTED:
        return new
    old = next((v for v in versions.values() if v.status == VersionStatus.PROMOTED), None)
    if old is not None:
        old.status = VersionStatus.SUPERSEDED
        old.save(update_fields=["status"])
    new.status, new.promoted_at = VersionStatus.PROMOTED, timezone.now()
    new.save(update_fields=["status", "promoted_at"])
    instead = f" instead of v{old.number}" if old else ""
    audit.record(actor=actor, row=new, what=f"Promoted{instead}. {reason}".strip())
    settle(new, *([old] if old else []))
    return new


@transaction.atomic
def discard(*, version: FeatureViewVersion, actor: User, reason: str) -> None:
    """Delete a version that nobody uses; the view goes with its last one.

    Its number isn't given again. Raises `Conflict` when it is promoted, or
    pinned: then naming the feature sets and the model versions that use them.
    """
    found = FeatureViewVersion.objects.held(view=version.view_id).get(version.pk)
    if found is None:
        raise Conflict(f"{version} was discarded already.")
    if found.status == VersionStatus.PROMOTED:
        raise Conflict(f"{found} is promoted; promote another version before you discard it.")
    audit.record(actor=actor, row=found, what=f"Discarded. {reason}".strip(), flag=DELETION)
    try:
        with transaction.atomic():
            found.delete()
    except ProtectedError as error:
        users = usage.named(list(error.protected_objects))
        raise Conflict(usage.why_pinned(found) or f"{found} is used by {users}.") from None
    view = version.view
    if not view.versions.exists():
        audit.record(actor=actor, row=view, what="Gone with its last version.", flag=DELETION)
        view.delete()


def settle(*versions: FeatureViewVersion) -> None:
    """Compute online what is promoted or pinned, and nothing else."""
    for version in versions:
        wanted = version.status == VersionStatus.PROMOTED or version.memberships.exists()
        if wanted and not version.is_live:
            online.start_version(version)
        elif version.is_live and not wanted:
            online.stop_version(version)


def refuse_bad_name(name: str) -> None:
    if name == "preview":
        raise Invalid.field("name", "is an address of the API; choose another")
    try:
        NAME_RULE(name)
    except ValidationError as error:
        raise Invalid.field("name", " ".join(error.messages)) from None


def refuse_unclean(row: models.Model) -> None:
    """Raise `Invalid` naming each field that breaks its own rules; keys are the caller's care."""
    keys = {field.name for field in row._meta.fields if field.is_relation}
    try:
        row.full_clean(exclude=keys, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        found = [FieldError(name, " ".join(texts)) for name, texts in error.message_dict.items()]
        raise Invalid.fields(found) from None
