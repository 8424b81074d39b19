"""Files below a root, and nowhere else."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from aegisml.base.errors import Invalid

MAX_LENGTH = 1000
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\%]|://")
_OUTSIDE = "must be a relative path below the data root"


def relative_parts(text: str, *, field: str) -> tuple[str, ...]:
    """The parts of a plain relative path.

    Raises `Invalid` naming `field` for anything else: absolute, `..`, a URL,
    percent or backslash escapes, control characters, more than 1,000 characters.
    The text is the same whether or not the target exists.
    """
    parts = PurePosixPath(text).parts
    bad = (
        not parts
        or len(text) > MAX_LENGTH
        or _FORBIDDEN.search(text)
        or text.startswith("/")
        or ".." in parts
    )
    if bad:
        raise Invalid.field(field, _OUTSIDE)
    return parts


@contextmanager
def open_below(root: Path, text: str, *, field: str) -> Iterator[BinaryIO]:
    """Open the regular file `text` below `root` for reading.

    Each step is opened relative to its parent and follows no symbolic link, so
    that nothing can be swapped between the check and the use. Raises `Invalid`
    naming `field`: outside, missing, a link, a folder, a device.
    """
    parts = relative_parts(text, field=field)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            parent, folder = folder, _open_at(folder, part, os.O_DIRECTORY, field)
            os.close(parent)
        # O_NONBLOCK: opening a FIFO must not wait for a writer
        handle = _open_at(folder, parts[-1], os.O_NONBLOCK, field)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Invalid.field(field, "must be a regular file")
    with os.fdopen(handle, "rb") as file:
        yield file


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A scratch path beside `target` that takes its place when the body ends well: the file is
    whole or not there. A body that writes nothing changes nothing. Makes the folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield scratch
        if scratch.exists():
            scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _open_at(folder: int, name: str, flags: int, field: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except FileNotFoundError:
        raise Invalid.field(field, "no such file below the data root") from None
    except OSError as error:
        if error.errno in (
            errno.ELOOP,
            errno.ENOTDIR,
            errno.EACCES,
            errno.ENXIO,
            errno.ENAMETOOLONG,
        ):
            raise Invalid.field(field, _OUTSIDE) from None
        raise
