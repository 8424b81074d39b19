"""A data set as a table that lies on disk: read in a child process, mapped in this one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from training.ml import converting, reading
from training.ml.errors import TrainingError
from training.ml.reading import FIELD

LOOK_EVERY = 0.2  # seconds between two looks at whether the child is still wanted
_ROOT = Path(__file__).resolve().parents[2]
_SAID = 4096
SMALL = 16 * 1024**2  # bytes of text that this process reads itself


@contextmanager
def table(
    file: BinaryIO,
    *,
    name: str,
    max_bytes: int,
    scratch: Path | None = None,
    tick: Callable[[], None],
) -> Iterator[pa.Table]:
    """The rows of `file` while the context lasts; what was written for it in `scratch` (default:
    the system's folder) is gone afterwards. Small plain text, which can't explode, is read here.

    `tick` is called while the child reads and may raise. Raises `TrainingError` for a file that
    can't be read, or not within the limits.
    """
    if name.lower().endswith(".csv") and os.fstat(file.fileno()).st_size <= SMALL:
        file.seek(0)
        schema, batches = reading.read(file, name=name, max_bytes=max_bytes)
        yield pa.Table.from_batches(batches, schema)
        return
    with tempfile.TemporaryDirectory(prefix="rows-", dir=scratch) as folder:
        target = Path(folder, "rows.arrow")
        convert(file, name=name, max_bytes=max_bytes, target=target, tick=tick)
        with mapped(target) as rows:
            yield rows


@contextmanager
def mapped(path: Path) -> Iterator[pa.Table]:
    """The rows that `convert` wrote, while the context lasts: read when they are needed."""
    with pa.memory_map(str(path)) as file:
        yield pa.ipc.open_file(file).read_all()


def convert(
    file: BinaryIO, *, name: str, max_bytes: int, target: Path, tick: Callable[[], None]
) -> None:
    """Read `file` in a child process and write its rows to `target`, where `mapped` finds them.

    Raises what `table` raises.
    """
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # where the child begins, whatever was read here
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", converting.__name__, name, str(max_bytes), str(target)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
        env={**_quiet_environment(), "PYTHONPATH": str(_ROOT)},
    )
    with child:
        try:
            said, complaint = _heard(child, tick)
        finally:
            child.kill()  # it has ended already, or nobody wants it any more
    if child.returncode == converting.REFUSED:
        raise TrainingError(**json.loads(said))
    if child.returncode:
        raise TrainingError(FIELD, _why(child.returncode, complaint))


def _heard(child: "subprocess.Popen[bytes]", tick: Callable[[], None]) -> tuple[bytes, bytes]:
    while True:
        try:
            return child.communicate(timeout=LOOK_EVERY)
        except subprocess.TimeoutExpired:
            tick()


def _quiet_environment() -> dict[str, str]:
    """Nothing of this process's secrets: the child reads what strangers wrote."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}


def _why(status: int, complaint: bytes) -> str:
    if status < 0 or b"MemoryError" in complaint or b"malloc" in complaint:
        return "can't be read within the limits of memory: it explodes when it is unpacked"
    if b"No space left" in complaint:
        return "can't be unpacked: the disk is full"
    last = complaint[-_SAID:].decode(errors="replace").strip().splitlines()
    return f"can't be read ({last[-1][:200] if last else f'status {status}'})"
