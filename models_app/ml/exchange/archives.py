"""Zip files: written the same to the byte each time, and read as if they were hostile."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models_app.ml.exchange.errors import Refused

MAGIC = b"PK\x03\x04"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can tell
_FILE_MODE = 0o100644 << 16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# what the library raises for zips that aren't whole, or are made to mislead it
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
_PICKLED_NAMES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth")
# the opcode PROTO with each protocol that has one; older pickles are told by their names
_PICKLED = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


@dataclass(frozen=True)
class Limits:
    """What a zip may hold, after decompression. A small file may be packed as tight as it
    likes; above `ratio_from` bytes nothing honest shrinks to less than 1/`ratio`."""

    files: int = 200
    file_bytes: int = 512 * 1024**2
    total_bytes: int = 768 * 1024**2
    ratio: int = 200
    ratio_from: int = 4 * 1024**2


def pack(stream: BinaryIO, files: Mapping[str, bytes]) -> None:
    """Write `files` in the order of their names, uncompressed and without times, so that the
    zip's bytes depend on nothing else."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = _FILE_MODE
            entry.create_system = 3  # Unix, on whatever system this runs
            archive.writestr(entry, data)


def pack_folder(stream: BinaryIO, folder: Path) -> None:
    """Write a folder's files as `pack` does; raises `Refused` where one is a link or too large."""
    limits = Limits()
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise Refused(f"{shown(name)}: is a link, not a file")
        if not path.is_file():
            continue
        if path.stat().st_size > limits.file_bytes or len(files) == limits.files:
            raise Refused(f"{shown(name)}: is more than is taken")
        files[name] = path.read_bytes()
    pack(stream, files)


def unpack(stream: BinaryIO, limits: Limits) -> dict[str, bytes]:
    """The files of a zip, by their paths in it.

    Raises `Refused` when the zip is broken, encrypted, or holds: more than the limits, whatever
    sizes it declares; a path that leads outside, a link, a device, the same path twice; a pickle.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, limits)
            return _read(archive, entries, limits)
    except Refused:
        raise
    except _BROKEN as error:
        raise Refused(f"is not a whole zip file ({error})") from None


def _check_entries(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.files:
        raise Refused(f"holds {len(entries):,} files; at most {limits.files} are taken")
    seen: set[str] = set()
    for entry in entries:
        name = shown(entry.filename)
        if not is_plain_path(entry.filename):
            raise Refused(f"{name}: is a path that leads outside the zip")
        if entry.filename in seen:
            raise Refused(f"{name}: stands in the zip more than once")
        seen.add(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Refused(f"{name}: is a link or a device, not a file")
        if entry.flag_bits & _ENCRYPTED:
            raise Refused(f"{name}: is encrypted")
        if entry.compress_type not in _METHODS:
            raise Refused(f"{name}: is compressed by a method other than deflate")
        if entry.file_size > limits.file_bytes:
            raise Refused(f"{name}: says that it holds {entry.file_size:,} bytes, over the limit")


def _read(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], limits: Limits
) -> dict[str, bytes]:
    files, total = {}, 0
    for entry in entries:
        name = shown(entry.filename)
        honest = max(limits.ratio_from, entry.compress_size * limits.ratio)
        allowed = min(limits.file_bytes, limits.total_bytes - total, honest)
        with archive.open(entry) as file:
            data = file.read(allowed + 1)  # the declared size is no proof
            if len(data) > allowed:
                raise Refused(f"{name}: holds more than the {allowed:,} bytes that it may")
        if len(data) != entry.file_size:
            raise Refused(f"{name}: holds another number of bytes than it says")
        total += len(data)
        refuse_pickle(entry.filename, data)
        files[entry.filename] = data
    return files


def is_plain_path(path: str) -> bool:
    """Whether a path is relative, stays below its folder, and is printable ASCII."""
    return (
        0 < len(path) <= 200  # noqa: PLR2004
        and path.isascii()
        and path.isprintable()
        and not any(sign in path for sign in ("\\", ":"))
        and all(part not in ("", ".", "..") for part in path.split("/"))
    )


def refuse_pickle(name: str, data: bytes) -> None:
    """Raises `Refused` for what looks like a pickle, by its name or its first bytes."""
    if name.lower().endswith(_PICKLED_NAMES) or data.startswith(_PICKLED):
        raise Refused(
            f"{shown(name)}: is a pickle, and reading one runs whatever code it brings;"
            " export the model as ONNX and import that"
        )


def shown(name: str) -> str:
    """A name from outside, fit for a message."""
    return ascii(name[:80])[1:-1]
