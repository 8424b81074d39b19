"""A version's files: written whole or not at all, and never read unless their hashes fit."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models_app.errors import BundleRefused

FORMAT = 1
MANIFEST = "manifest.json"
SCRATCH = ".writing-"
# the library's own file of a model: XGBoost, scikit-learn by skops, tensors
NATIVE = frozenset({"model.ubj", "model.skops", "model.safetensors"})
FILES = NATIVE | {
    "model.onnx", "preprocess.json", "signature.json", "calibration.json", "policy.json",
    "profile.json", "card.md",
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """Where a bundle lies below the artifact root, and the SHA-256 of its manifest."""

    path: str
    digest: str


def write(
    *, root: Path, folder: str, files: Mapping[str, bytes], about: Mapping[str, Any]
) -> Written:
    """Write `files` and a manifest with `about` and their hashes to root/folder/<digest>.

    The bundle appears by one rename after everything is on disk, so that a
    process killed in the middle leaves no half bundle behind.
    """
    manifest = {
        "format": FORMAT,
        **about,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    body = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(body).hexdigest()
    target = root / folder / digest[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=target.parent))
    try:
        for name, data in {**files, MANIFEST: body}.items():
            _write_synced(scratch / name, data)
        _sync_folder(scratch)
        if not target.exists():  # else the same bytes were written before
            scratch.rename(target)
            _sync_folder(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # nothing is left of it after the rename
    return Written(path=str(target.relative_to(root)), digest=digest)


def discard(*, root: Path, written: Written) -> None:
    """Take away a bundle that no version will name."""
    shutil.rmtree(root / written.path)


def read(folder: Path, *, digest: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and files of a bundle; refuses as `read_raw` does."""
    body, files = read_raw(folder, digest=digest)
    return orjson.loads(body), files


def read_raw(folder: Path, *, digest: str) -> tuple[bytes, dict[str, bytes]]:
    """The manifest as it lies there, and the files of a bundle.

    Raises `BundleRefused` when the manifest's hash isn't `digest`, a file is
    missing, unknown, or differs from the manifest.
    """
    try:
        body = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(body).hexdigest() != digest:
            raise BundleRefused("manifest.json is not the one that was registered")
        files = {}
        for name, expected in orjson.loads(body)["files"].items():
            if name not in FILES:
                raise BundleRefused(f"{name} is not a file that a bundle may hold")
            files[name] = (folder / name).read_bytes()
            if hashlib.sha256(files[name]).hexdigest() != expected:
                raise BundleRefused(f"{name} differs from its registered hash")
    except OSError as error:
        raise BundleRefused(f"a file can't be read ({error.strerror})") from error
    return body, files


def clear_scratch(root: Path, *, older_than: float) -> int:
    """Remove what killed writers left, if it is older than so many seconds; gives how many."""
    before = time.time() - older_than
    left = [path for path in root.glob(f"*/{SCRATCH}*") if path.stat().st_mtime < before]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
