"""Looking at a file from outside in a process of its own: one that crashes, hangs or eats memory
takes nothing else with it, and sees none of our secrets."""

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models_app.ml.exchange import frames
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes

ROOT = Path(__file__).resolve().parents[3]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from models_app.ml.exchange import child; child.main()"
)
_TRACE_BYTES = 20_000
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What the process may use."""

    memory: int = 4 * 1024**3
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    answer_bytes: int = 1024**3
    open_files: int = 256


@dataclass(frozen=True)
class Looked:
    """What a file turned out to be: `taken` are the fields of `intake.Taken` as JSON."""

    taken: dict[str, Any]
    files: dict[str, bytes] = field(repr=False)


def look(
    path: Path, *, wishes: Wishes, names: frozenset[str], limits: Limits | None = None
) -> Looked:
    """Take the file at `path` in as `intake.take_in` does, in a child process.

    Raises `Refused` for what it refuses, and when it crashes or goes over a limit.
    """
    limits = limits or Limits()
    question = {
        "path": str(path),
        "wishes": asdict(wishes),
        "names": sorted(names),
        "limits": asdict(limits),
    }
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as told:
        frames.write(asked, question, {})
        asked.seek(0)
        with tempfile.TemporaryFile() as said:
            _run((asked, told, said), limits)
        told.seek(0)
        try:
            header, files = frames.read(told, max_bytes=limits.answer_bytes)
        except frames.BrokenFrame as error:
            raise Refused("can't be read: the process that looked at it gave no answer") from error
    if "refused" in header:
        raise Refused(str(header["refused"])[:1000], field=str(header["field"])[:200])
    return Looked(dict(header["taken"]), {n: data for n, data in files.items() if n in names})


def _run(streams: tuple[Any, Any, Any], limits: Limits) -> None:
    environment = dict.fromkeys(_ONE_THREAD, "1") | {
        "PATH": os.defpath, "LANG": "C.UTF-8", "TMPDIR": tempfile.gettempdir()
    }  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own code, and no word of the caller's in it
            [sys.executable, "-I", "-c", _START, str(ROOT)],
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            env=environment,
            cwd=os.sep,
            timeout=limits.wall_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"takes longer than {limits.wall_seconds:g} seconds to be read") from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Refused(f"takes more than {limits.cpu_seconds} seconds or too much memory to be read")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise Refused(f"crashed the process that looked at it ({name})")
    if done.returncode:
        streams[2].seek(0)
        trace = streams[2].read(_TRACE_BYTES).decode(errors="replace")
        raise Refused("can't be read: the process that looked at it failed") from RuntimeError(
            trace
        )
