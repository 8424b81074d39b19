"""What a file was when a training on it was asked for."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

WHOLE = 64 * 1024**2  # bytes, a fifth of a second; of a larger file samples are read
SAMPLE = 4 * 1024**2
SAMPLES = 8
_CHUNK = 1024**2


def take(file: BinaryIO) -> dict[str, Any]:
    """Size, time of change and digest of an open file, which is left at its start.

    The digest is the SHA-256 of the whole file up to 64 MB, else of samples of it, from its
    head to its tail.
    """
    status = os.fstat(file.fileno())
    is_whole = status.st_size <= WHOLE
    digest = _whole(file) if is_whole else _sampled(file, status.st_size)
    file.seek(0)
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "method": "sha256" if is_whole else "sampled",
        "digest": digest,
    }


def is_same(known: Mapping[str, Any], file: BinaryIO) -> bool:
    """Whether an open file is the one that `known` was taken of.

    A copy with the same bytes is; of a large file, whose middle is not looked at, the time
    of change must be the same too.
    """
    if not known:  # a job from before files were remembered
        return True
    found = take(file)
    names = ["size", "method", "digest"]
    if found["method"] != "sha256":
        names.append("mtime_ns")
    return all(found[name] == known.get(name) for name in names)


def _whole(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _sampled(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    for i in range(SAMPLES):
        file.seek((size - SAMPLE) * i // (SAMPLES - 1))
        digest.update(file.read(SAMPLE))
    return digest.hexdigest()
