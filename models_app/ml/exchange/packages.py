"""A version as one zip: its bundle as it lies on disk, and beside it what its row tells."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from models_app.ml.calibration import Calibration
from models_app.ml.exchange import archives, documents, evidence, signatures
from models_app.ml.exchange.errors import Refused
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature

FORMAT = 1
VERSION = "version.json"
MANIFEST = "manifest.json"
NEEDED = frozenset({"model.onnx", "signature.json", "policy.json"})
MAX_TEXT = 40  # characters of a name in a row
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@dataclass(frozen=True)
class Package:
    """A version as a zip brings it; `about` is the manifest without its format and hashes."""

    files: dict[str, bytes]
    about: dict[str, Any]
    told: dict[str, Any]
    signature: Signature


def write(
    stream: BinaryIO, *, manifest: bytes, files: Mapping[str, bytes], told: Mapping[str, Any]
) -> None:
    """Write the zip; the same version gives the same bytes each time.

    `told` are the row's model, version, algorithm, parameters, metrics, lineage, feature_set.
    """
    digest = hashlib.sha256(manifest).hexdigest()
    row = orjson.dumps({"format": FORMAT, **told, "bundle_digest": digest}, option=_OPTIONS)
    archives.pack(stream, {**files, MANIFEST: manifest, VERSION: row})


def read(entries: Mapping[str, bytes], known: frozenset[str]) -> Package:
    """The version in a zip's files, `known` being the names that a bundle may hold.

    Raises `Refused` for any other name, a missing file, a hash that differs from the manifest,
    or documents that can't be used.
    """
    for name in entries:
        if name not in known | {MANIFEST, VERSION}:
            raise Refused(f"{archives.shown(name)}: is not a file that a bundle may hold")
    told = documents.read_object(_entry(entries, VERSION), name=VERSION)
    manifest = documents.read_object(_entry(entries, MANIFEST), name=MANIFEST)
    if hashlib.sha256(entries[MANIFEST]).hexdigest() != told.get("bundle_digest"):
        raise Refused(f"{MANIFEST}: differs from the hash in {VERSION}")
    files = _checked_files(entries, manifest)
    _check_documents(files)
    signature = signatures.read(
        documents.read(files["signature.json"], name="signature.json"), field="file.signature.json"
    )
    about = {key: value for key, value in manifest.items() if key not in ("format", "files")}
    return Package(files, about, _checked_row(told), signature)


def _entry(entries: Mapping[str, bytes], name: str) -> bytes:
    if name not in entries:
        raise Refused(f"has no {name}; a zip that this platform exported has one")
    return entries[name]


def _checked_files(entries: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, bytes]:
    if manifest.get("format") != FORMAT:
        raise Refused(f"{MANIFEST}: its format must be {FORMAT}")
    hashes = manifest.get("files")
    if not isinstance(hashes, dict):
        raise Refused(f"{MANIFEST}: has no list of files")
    files = {name: data for name, data in entries.items() if name not in (MANIFEST, VERSION)}
    for name in sorted(hashes.keys() | NEEDED):
        if name not in files:
            raise Refused(f"{archives.shown(name)}: is missing")
    for name, data in files.items():
        if hashes.get(name) != hashlib.sha256(data).hexdigest():
            raise Refused(f"{name}: differs from the hash in {MANIFEST}")
    return files


def _check_documents(files: Mapping[str, bytes]) -> None:
    try:
        policy = documents.read_object(files["policy.json"], name="policy.json")
        Policy(**policy)
        if "calibration.json" in files:
            name = "calibration.json"
            Calibration.from_json(documents.read_object(files[name], name=name))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"policy.json or calibration.json can't be used ({error})") from None
    if "preprocess.json" in files:
        documents.read_object(files["preprocess.json"], name="preprocess.json")
    if "profile.json" in files:
        name = "profile.json"
        evidence.check_profile(documents.read_object(files[name], name=name))
    try:
        files.get("card.md", b"").decode()
    except UnicodeDecodeError:
        raise Refused("card.md: is not UTF-8") from None


def _checked_row(told: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"algorithm": str, "parameters": dict, "metrics": dict, "lineage": dict, "model": str}
    for name, kind in kinds.items():
        if not isinstance(told.get(name), kind):
            raise Refused(f"{VERSION}: {name} is missing or of the wrong kind")
    if len(told["algorithm"]) > MAX_TEXT:
        raise Refused(f"{VERSION}: algorithm is longer than {MAX_TEXT} characters")
    evidence.check(metrics=told["metrics"], lineage=told["lineage"])
    return dict(told)
