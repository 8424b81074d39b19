"""What people do with models and versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION, DELETION
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from aegisml.base import audit, ids
from aegisml.base.errors import Conflict, FieldError, Invalid
from features.models import FeatureSet
from models_app.choices import Algorithm, AliasName
from models_app.errors import VersionInUse
from models_app.ml import algorithms
from models_app.models import Alias, ModelVersion, RegisteredModel

_FIXED_AFTER_TRAINING = ("name", "algorithm")


@dataclass(frozen=True)
class NewVersion:
    """What a finished training hands to the registry."""

    algorithm: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    signature: Mapping[str, Any]
    lineage: Mapping[str, Any]
    bundle_path: str
    bundle_digest: str
    training_job: str
    feature_set: FeatureSet | None = None


def checked_parameters(*, algorithm: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` in their kinds; raises `Invalid` naming each wrong one, or the algorithm."""
    configured = settings.TRAINING.algorithms
    known = [name for name in Algorithm.values if getattr(configured, name).enabled]
    if algorithm not in known:
        raise Invalid.field(
            "algorithm", f"{algorithm!r} is not available; choose from: {', '.join(known)}"
        )
    try:
        return dict(algorithms.checked(algorithm, parameters))
    except algorithms.ParameterError as error:
        found = [FieldError(f"parameters.{name}", text) for name, text in error.problems.items()]
        raise Invalid(str(error), errors=found) from None


@transaction.atomic
def create_model(*, actor: User, name: str, **fields: Any) -> RegisteredModel:
    """Register a model; raises `Invalid` or, when the name is taken, `Conflict`."""
    model = RegisteredModel(name=name, **{"owner": actor, **fields})
    model.parameters = checked_parameters(algorithm=model.algorithm, parameters=model.parameters)
    _clean(model)
    _save_unique(model)
    audit.record(actor=actor, row=model, what=f"Registered model {name}.", flag=ADDITION)
    return model


@transaction.atomic
def update_model(*, model: RegisteredModel, actor: User, **changes: Any) -> RegisteredModel:
    """Change a model's fields; name and algorithm are fixed once a version exists."""
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    refuse_retired(model)
    changed = {field: value for field, value in changes.items() if getattr(model, field) != value}
    fixed = [field for field in _FIXED_AFTER_TRAINING if field in changed]
    if fixed and model.versions.exists():
        raise Conflict(f"{fixed[0]}: can't change once a version was trained.")
    for field, value in changed.items():
        setattr(model, field, value)
    model.parameters = checked_parameters(algorithm=model.algorithm, parameters=model.parameters)
    _clean(model)
    _save_unique(model)
    if changed:
        audit.record(actor=actor, row=model, what=f"Changed {', '.join(sorted(changed))}.")
    return model


@transaction.atomic
def retire_model(*, model: RegisteredModel, actor: User, reason: str = "") -> None:
    """Take a model out of use and keep its history; raises `VersionInUse` while it serves."""
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    in_use = model.aliases.select_related("version").first()
    if in_use is not None:
        number = in_use.version.number
        raise VersionInUse(
            f"Version {number} is deployed; undeploy the model before you retire it."
        )
    if model.is_retired:
        return
    model.retired_at = timezone.now()
    model.save(update_fields=["retired_at", "updated_at"])
    audit.record(actor=actor, row=model, what=f"Retired. {reason}".strip(), flag=DELETION)


@transaction.atomic
def register_version(
    *, model: RegisteredModel, actor: User, new: NewVersion, how: str = ""
) -> ModelVersion:
    """Give a bundle the model's next number; a job registers at most one version. `how` tells
    the history where it comes from, if not from a job."""
    RegisteredModel.objects.select_for_update().get(pk=model.pk)
    newest = model.versions.newest()
    version = ModelVersion.objects.create(
        model=model,
        number=newest.number + 1 if newest else 1,
        created_by=actor,
        **{field: getattr(new, field) for field in NewVersion.__dataclass_fields__},
    )
    what = how or f"Trained by job {new.training_job}."
    audit.record(actor=actor, row=version, what=what, flag=ADDITION)
    return version


@transaction.atomic
def point_alias(
    *, name: AliasName, version: ModelVersion, actor: User, reason: str
) -> ModelVersion | None:
    """Make an alias point at `version`; gives the version that it pointed at before."""
    model = RegisteredModel.objects.select_for_update().get(pk=version.model_id)
    refuse_retired(model)
    alias = model.aliases.select_related("version").filter(name=name).first()
    before = alias.version if alias else None
    Alias.objects.update_or_create(model=model, name=name, defaults={"version": version})
    was = f"v{before.number}" if before else "nothing"
    what = f"Alias {name} moved from {was} to v{version.number}. {reason}".strip()
    audit.record(actor=actor, row=model, what=what)
    return before


@transaction.atomic
def drop_alias(*, name: AliasName, model: RegisteredModel, actor: User, reason: str) -> None:
    """Remove an alias; nothing happens when the model hasn't got it."""
    gone, _ = model.aliases.filter(name=name).delete()
    if gone:
        audit.record(actor=actor, row=model, what=f"Alias {name} removed. {reason}".strip())


def refuse_retired(model: RegisteredModel) -> None:
    """Raises `Conflict` when the model is out of use."""
    if model.is_retired:
        raise Conflict(f"Model {model.name} is retired.")


def _clean(model: RegisteredModel) -> None:
    if ids.parse_uuid(model.name):  # addresses take an id or a name; they must not be mixed up
        raise Invalid.field("name", "must not look like an id")
    try:
        model.full_clean(exclude=["owner", "parameters"], validate_unique=False)
    except ValidationError as error:
        found = [FieldError(f, " ".join(texts)) for f, texts in error.message_dict.items()]
        raise Invalid.fields(found) from None


def _save_unique(model: RegisteredModel) -> None:
    try:
        with transaction.atomic():
            model.save()
    except IntegrityError:
        raise Conflict(f"name: there is already a model {model.name!r}.") from None
