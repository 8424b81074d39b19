"""The journal: every answer is on disk before it leaves.

Each process appends whole lines to a segment of its own with one `write`,
which survives the death of the process (with `journal_fsync: always`, of the
machine). It holds a lock on the segment while it writes; the shipper deletes
a segment when everything is shipped and the lock is free.
"""

import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from inference.errors import JournalFull

SUFFIX = ".jsonl"
QUOTA_CHECK_SECONDS = 1.0


class Journal:
    """The writing end, one per process. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._size = 0
        self._owner = 0
        self._checked = 0.0
        self._full = False

    def append(self, records: Iterable[dict[str, Any]]) -> None:
        """Write records, all or none; raises `JournalFull` when they can't be kept."""
        lines = b"".join(
            orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records
        )
        with self._lock:
            self._refuse_over_quota()
            try:
                handle = self._segment()
                _write_whole(handle, lines, self._size)
                if settings.INFERENCE.journal_fsync == "always":
                    os.fdatasync(handle)
            except OSError as error:
                raise JournalFull("The prediction can't be recorded.", retry_after=5) from error
            self._size += len(lines)

    def close(self) -> None:
        """Let go of the segment; the shipper may then delete it."""
        with self._lock:
            self._close()

    def _segment(self) -> int:
        if self._owner != os.getpid():  # forked: the parent keeps its segment
            self._handle, self._owner = None, os.getpid()
        if self._handle is not None and self._size >= settings.INFERENCE.journal_segment_bytes:
            self._close()
        if self._handle is None:
            self._root.mkdir(parents=True, exist_ok=True)
            name = (
                f"{time.time_ns()}-{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            )
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            handle = os.open(self._root / (name + SUFFIX), flags, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._handle, self._size = handle, 0
        return self._handle

    def _close(self) -> None:
        if self._handle is not None and self._owner == os.getpid():
            os.close(self._handle)
        self._handle = None

    def _refuse_over_quota(self) -> None:
        now = time.monotonic()
        if now - self._checked > QUOTA_CHECK_SECONDS:
            self._checked = now
            self._full = spooled_bytes(self._root) >= settings.INFERENCE.journal_quota_bytes
        if self._full:
            raise JournalFull("The journal is full; its shipper is behind.", retry_after=5)


def _write_whole(handle: int, lines: bytes, size: int) -> None:
    """One write; what a full disk cut off is taken back, so that no half line stays."""
    written = os.write(handle, lines)
    if written != len(lines):
        os.ftruncate(handle, size)
        raise OSError("short write")


def segments(root: Path) -> list[Path]:
    """All segments of this machine, oldest first."""
    return sorted(root.glob("*" + SUFFIX)) if root.exists() else []


def spooled_bytes(root: Path) -> int:
    """Bytes that wait in the journal (shipped parts of open segments included)."""
    total = 0
    for path in segments(root):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # shipped meanwhile
            continue
    return total


def is_abandoned(path: Path) -> bool:
    """Whether no process writes to the segment any more."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def find(root: Path, prediction_id: str) -> dict[str, Any] | None:
    """A record that may not be shipped yet, newest segments first."""
    needle = prediction_id.encode()
    for path in reversed(segments(root)):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        for line in _lines_with(data, needle):
            record: dict[str, Any] = orjson.loads(line)
            if record["id"] == prediction_id:
                return record
    return None


def _lines_with(data: bytes, needle: bytes) -> Iterator[bytes]:
    at = data.find(needle)
    while at >= 0:
        end = data.find(b"\n", at)
        if end < 0:
            return
        yield data[data.rfind(b"\n", 0, at) + 1 : end]
        at = data.find(needle, end)


def writer() -> Journal:
    """This process's journal."""
    return _writer


_writer = Journal(Path(settings.JOURNAL_ROOT))
