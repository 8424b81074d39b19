"""What leaves the registry: a version as one zip."""

import hashlib
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from django.contrib.auth.models import User

from aegisml.base import audit
from models_app import bundles
from models_app.ml.exchange import packages
from models_app.models import ModelVersion

_IN_MEMORY = 16 * 1024**2
_CHUNK = 1024**2


@dataclass(frozen=True)
class Exported:
    """A file to hand over; `stream` stands at its start and is the caller's to close."""

    name: str
    stream: IO[bytes]
    bytes: int
    sha256: str


def export_version(*, version: ModelVersion, actor: User) -> Exported:
    """The version's bundle and row as a zip, the same bytes each time; who took it is recorded.

    Raises `BundleRefused` when the files aren't those that were registered.
    """
    manifest, files = bundles.read_raw(version.bundle_folder, digest=version.bundle_digest)
    stream = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    packages.write(
        stream,  # type: ignore[arg-type]  # it is a BinaryIO in all but name
        manifest=manifest,
        files=files,
        told={
            "model": version.model.name,
            "version": version.number,
            "algorithm": version.algorithm,
            "parameters": version.parameters,
            "metrics": version.metrics,
            "lineage": version.lineage,
            "feature_set": str(version.feature_set) if version.feature_set else None,
            "created_at": version.created_at.isoformat(),
        },
    )
    size = stream.tell()
    digest = _digest(stream)
    audit.record(actor=actor, row=version, what=f"Exported as a zip, SHA-256 {digest}.")
    return Exported(f"{version.model.name}-v{version.number}.zip", stream, size, digest)


def _digest(stream: IO[bytes]) -> str:
    """SHA-256 of the whole stream; leaves it at its start."""
    found = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    stream.seek(0)
    return found.hexdigest()
