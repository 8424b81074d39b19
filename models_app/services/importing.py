"""What comes into the registry from outside: exported versions, ONNX, XGBoost and MLflow models."""

import hashlib
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from aegisml.base.errors import AegisError, Conflict, Invalid, TooLarge
from features.models import FeatureSet
from models_app import bundles
from models_app.ml.exchange import card, sandbox, signatures
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.ml.signature import FLOAT32_MAX, Signature
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import registry

JOB_PREFIX = "import-"
_ID_DIGITS = 29  # with the prefix, as many as the column takes
_CHUNK = 1024**2
_SHOWN_NAME = 100
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Incoming:
    """A file to import: its name is only told, `feature_set` is what the version is to be served
    from ("name@v1"), `wishes` is what the file itself doesn't say."""

    name: str
    file: BinaryIO
    wishes: Wishes = Wishes()
    feature_set: str | None = None


def import_version(*, model: RegisteredModel, actor: User, incoming: Incoming) -> ModelVersion:
    """Register what a file holds as the model's next version.

    The file is looked at in a child process; nothing is kept of one that is refused. Raises
    `Invalid` naming "file" or the other part that is wrong, `TooLarge`, or `Conflict` when the
    model is retired or has this very bundle already.
    """
    registry.refuse_retired(model)
    _check_wishes(incoming.wishes)
    pinned = _feature_set(incoming.feature_set)
    with _kept(incoming.file) as (path, digest):
        looked = _looked(path, incoming.wishes)
    taken = looked.taken
    signature = signatures.read(taken["signature"])
    if pinned is not None:
        _check_served(signature, pinned)
    lineage = {**taken["lineage"], "imported": _imported(incoming, digest, taken)}
    written = _write(model, looked, signature, lineage)
    new = registry.NewVersion(
        algorithm=taken["algorithm"],
        parameters=taken["parameters"],
        metrics=taken["metrics"],
        signature=signature.to_json(),
        lineage=lineage,
        bundle_path=written.path,
        bundle_digest=written.digest,
        training_job=JOB_PREFIX + uuid4().hex[:_ID_DIGITS],
        feature_set=pinned,
    )
    try:
        return _register(model, actor, new)
    except AegisError:
        if not ModelVersion.objects.filter(bundle_path=written.path).exists():
            bundles.discard(root=settings.ARTIFACT_ROOT, written=written)
        raise


def _imported(incoming: Incoming, digest: str, taken: dict[str, Any]) -> dict[str, Any]:
    """What the lineage tells of the file."""
    return {
        "file": "".join(filter(str.isprintable, incoming.name))[-_SHOWN_NAME:],
        "sha256": digest,
        "format": taken["format"],
        "from": taken["origin"],
        "notes": taken["notes"],
    }


@transaction.atomic
def _register(model: RegisteredModel, actor: User, new: registry.NewVersion) -> ModelVersion:
    locked = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    registry.refuse_retired(locked)
    twin = locked.versions.filter(bundle_digest=new.bundle_digest).first()
    if twin is not None:
        raise Conflict(f"{twin} is this very bundle.")
    imported = new.lineage["imported"]
    return registry.register_version(
        model=locked,
        actor=actor,
        new=new,
        how=f"Imported from {imported['file']} ({imported['format']}, {imported['sha256']}).",
    )


def _check_wishes(wishes: Wishes) -> None:
    if wishes.threshold is not None and not 0 <= wishes.threshold <= 1:
        raise Invalid.field("threshold", "must be a probability, from 0 to 1")
    if wishes.fill is not None and not -FLOAT32_MAX <= wishes.fill <= FLOAT32_MAX:
        raise Invalid.field("fill", "must be a finite number")


def _feature_set(text: str | None) -> FeatureSet | None:
    return FeatureSet.objects.pinned(text) if text else None


def _check_served(signature: Signature, pinned: FeatureSet) -> None:
    served = {name for member in pinned.members.all() for name in member.names}
    lacking = sorted(signature.names - served)
    if lacking:
        raise Invalid.field("feature_set", f"{pinned} has no feature {', '.join(lacking[:10])}")


def _looked(path: Path, wishes: Wishes) -> sandbox.Looked:
    limits = sandbox.Limits(
        memory=settings.REGISTRY.import_memory_bytes,
        cpu_seconds=math.ceil(settings.REGISTRY.import_seconds / 2),
        wall_seconds=settings.REGISTRY.import_seconds,
    )
    try:
        return sandbox.look(path, wishes=wishes, names=bundles.FILES, limits=limits)
    except Refused as error:
        if error.__cause__ is not None:
            log.warning("import failed", refused=error.text, cause=str(error.__cause__))
        raise Invalid.field(error.field, error.text) from None


def _write(
    model: RegisteredModel, looked: sandbox.Looked, signature: Signature, lineage: dict[str, Any]
) -> bundles.Written:
    taken, files = looked.taken, dict(looked.files)
    # what was exported here keeps its manifest, and by it its digest
    about = taken["about"]
    if taken["format"] != "bundle":
        files["card.md"] = card.write(model.name, lineage["imported"], signature, files).encode()
        about = {
            "model": model.name,
            "algorithm": taken["algorithm"],
            "parameters": taken["parameters"],
            "lineage": lineage,
        }
    return bundles.write(
        root=settings.ARTIFACT_ROOT, folder=str(model.pk), files=files, about=about
    )


@contextmanager
def _kept(file: BinaryIO) -> Iterator[tuple[Path, str]]:
    """A copy of `file` that the child can open, and its SHA-256."""
    limit, size = settings.REGISTRY.max_import_bytes, 0
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(prefix="aegis-import-") as copy:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the file is over the limit of {limit:,} bytes")
            digest.update(chunk)
            copy.write(chunk)
        if not size:
            raise Invalid.field("file", "is empty")
        copy.flush()
        yield Path(copy.name), digest.hexdigest()
