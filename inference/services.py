"""What people do with deployments."""

from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from aegisml.base import audit
from aegisml.base.errors import Conflict
from inference import fleet, loaded
from inference.choices import DeploymentStatus
from inference.models import Deployment
from models_app.choices import AliasName
from models_app.errors import BundleRefused
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import registry


def deploy(
    *, model: RegisteredModel, actor: User, number: int | None = None, reason: str = ""
) -> Deployment:
    """Let a version (default: the newest) answer for `model`; the one before is superseded.

    The bundle is read, checked and warmed first, so that a broken version never
    replaces a working one. Raises `NotFound` for an unknown version, `Conflict`
    when the model is retired, has no version, or the bundle is refused.
    """
    version = _version(model, number)
    try:
        loaded.load(version)
    except BundleRefused as error:
        raise Conflict(f"Version {version.number} can't be deployed. {error.detail}") from error
    with transaction.atomic():
        registry.point_alias(
            name=AliasName.CHAMPION, version=version, actor=actor, reason=reason
        )  # locks the model, so that two deployments come one after the other
        _end_active(model, DeploymentStatus.SUPERSEDED)
        deployment: Deployment = Deployment.objects.create(
            model=model, version=version, created_by=actor, reason=reason[:500]
        )
        audit.record(
            actor=actor,
            row=deployment,
            what=f"Deployed version {version.number}. {reason}".strip(),
            flag=ADDITION,
        )
        transaction.on_commit(fleet.announce)
    return deployment


@transaction.atomic
def undeploy(*, model: RegisteredModel, actor: User, reason: str = "") -> Deployment:
    """Stop serving `model`; raises `Conflict` when nothing serves it."""
    RegisteredModel.objects.select_for_update().get(pk=model.pk)
    active = model.deployments.active().first()
    if active is None:
        raise Conflict(f"Model {model.name} has no deployed version.")
    _end_active(model, DeploymentStatus.ENDED)
    registry.drop_alias(name=AliasName.CHAMPION, model=model, actor=actor, reason=reason)
    audit.record(actor=actor, row=active, what=f"Undeployed. {reason}".strip())
    transaction.on_commit(fleet.announce)
    active.refresh_from_db()
    return active


def _version(model: RegisteredModel, number: int | None) -> ModelVersion:
    if number is not None:
        return model.versions.select_related("model", "feature_set__stream").numbered(number)
    newest = model.versions.select_related("model", "feature_set__stream").newest()
    if newest is None:
        raise Conflict(f"Model {model.name} has no version yet; train it first.")
    return newest


def _end_active(model: RegisteredModel, status: DeploymentStatus) -> None:
    model.deployments.active().update(status=status, ended_at=timezone.now())
