"""What people do with streams."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from aegisml.base import audit
from aegisml.base.errors import Conflict, FieldError, Invalid
from features.ml.errors import DefinitionError
from features.ml.schema import Field, Schema
from features.models import Stream
from features.services import views

CHANGEABLE = ("description", "definition", "policy", "label_delay_days")
MAX_LABEL_DELAY = 3650
# What the meaning of all events hangs on, those that came already too.
_FIXED = ("event_id", "event_time", "known_time", "label", "timezone", "entities")


@transaction.atomic
def create_stream(*, actor: User, name: str, definition: Any, **fields: Any) -> Stream:
    """Make a stream that takes events from now on; `fields`: description, policy, label_delay_days.

    Raises `Invalid` naming each wrong part, such as `definition.fields.2`, or
    `Conflict` when the name is taken.
    """
    _schema(definition)
    stream = Stream(name=name, definition=definition, created_by=actor, **fields)
    _clean(stream)
    try:
        with transaction.atomic():
            stream.save()
    except IntegrityError:
        raise Conflict(f"name: there is already a stream {name!r}.") from None
    stream.refresh_from_db()  # PostgreSQL orders the entities, and keys stand in their order
    audit.record(actor=actor, row=stream, what=f"Added stream {name}.", flag=ADDITION)
    return stream


@transaction.atomic
def change_stream(*, stream: Stream, actor: User, **changes: Any) -> Stream:
    """Change some of: description, definition, policy, label_delay_days.

    A definition may only grow: new fields that aren't required, wider bounds.
    Raises `Conflict` naming the part for any other change, `Invalid` for
    what is wrong in itself.
    """
    stream = Stream.objects.select_for_update().get(pk=stream.pk)
    changed = {name: value for name, value in changes.items() if getattr(stream, name) != value}
    fixed = sorted(changed.keys() - set(CHANGEABLE))
    if fixed:
        raise Conflict(f"{fixed[0]}: can't change once the stream is there.")
    if "definition" in changed:
        _refuse_other_meaning(stream.schema, _schema(changed["definition"]), changed["definition"])
    for name, value in changed.items():
        setattr(stream, name, value)
    _clean(stream)
    if changed:
        stream.save(update_fields=[*changed, "updated_at"])
        audit.record(actor=actor, row=stream, what=f"Changed {', '.join(sorted(changed))}.")
    return Stream.objects.get(pk=stream.pk)


def _schema(definition: Any) -> Schema:
    views.canonical(definition, field="definition")
    try:
        return Schema.from_json(definition)
    except DefinitionError as error:
        found = [FieldError(_placed(place), text) for place, text in error.problems]
        raise Invalid.fields(found) from None


def _placed(place: str) -> str:
    return place if place == "definition" else f"definition.{place}"


def _clean(stream: Stream) -> None:
    problems = []
    try:
        stream.full_clean(exclude=["created_by", "definition"], validate_unique=False)
    except ValidationError as error:
        problems += [FieldError(name, " ".join(t)) for name, t in error.message_dict.items()]
    delay = stream.label_delay_days
    if isinstance(delay, int | float) and not 0 <= delay <= MAX_LABEL_DELAY:
        problems.append(FieldError("label_delay_days", f"must be from 0 to {MAX_LABEL_DELAY}"))
    if problems:
        raise Invalid.fields(problems)


def _refuse_other_meaning(old: Schema, new: Schema, definition: Mapping[str, Any]) -> None:
    for name in _FIXED:
        if getattr(old, name) != getattr(new, name):
            raise Conflict(f"definition.{name}: can't change once the stream is there.")
    gone = sorted(old.by_name.keys() - new.by_name.keys())
    if gone:
        raise Conflict(f"definition.fields: {gone[0]} can't be removed.")
    for i, field in enumerate(new.fields):
        before = old.by_name.get(field.name)
        problems = _narrower(before, field) if before else _new(field)
        for key, text in problems:
            raise Conflict(f"definition.fields.{i}.{key}: {text} ({field.name}).")


def _new(field: Field) -> Iterator[tuple[str, str]]:
    if field.required:
        yield "required", "a new field can't be required, for earlier events lack it"


def _narrower(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    """How `new` refuses what `old` took."""
    if old.type != new.type:
        yield "type", f"can't change from {old.type}"
    if new.required and not old.required:
        yield "required", "earlier events may lack it"
    if new.low is not None and (old.low is None or new.low > old.low):
        yield "min", "can only become lower"
    if new.high is not None and (old.high is None or new.high < old.high):
        yield "max", "can only become higher"
    if new.allowed and (not old.allowed or not set(old.allowed) <= set(new.allowed)):
        yield "allowed", "can only become longer"
    if new.max_length < old.max_length:
        yield "max_length", "can only become higher"
