"""What a version's files tell, for pages and the API."""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from aegisml.base.errors import NotFound
from models_app import bundles
from models_app.errors import BundleRefused
from models_app.models import ModelVersion


@dataclass(frozen=True)
class File:
    """A file of a bundle; its hash was compared with the manifest."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """A version's files and what they say; `refused` tells why they can't be trusted."""

    files: tuple[File, ...] = ()
    policy: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    card: str | None = None
    refused: str | None = None


def of_version(version: ModelVersion) -> Evidence:
    """Read the bundle and check its hashes."""
    try:
        _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    except BundleRefused as error:
        return Evidence(refused=error.detail)
    return Evidence(
        files=tuple(
            File(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in sorted(files.items())
        ),
        policy=_json(files.get("policy.json")),
        calibration=_json(files.get("calibration.json")),
        card=files["card.md"].decode(errors="replace") if "card.md" in files else None,
    )


def card_of(version: ModelVersion) -> str:
    """The model card as Markdown; raises `BundleRefused`, or `NotFound` when there is none."""
    _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    if "card.md" not in files:
        raise NotFound(f"{version} has no model card.")
    return files["card.md"].decode(errors="replace")


def _json(data: bytes | None) -> Any:
    return None if data is None else orjson.loads(data)
