"""The child process that looks at a file from outside, under limits. `sandbox` starts it.

Reads a frame {wishes, limits} with the blob "path" from standard input, and writes a frame with
what was taken in, or why it was refused, to standard output.
"""

import os
import resource
import sys
from pathlib import Path
from typing import Any

from models_app.ml.exchange import frames
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes

MAX_REQUEST = 16 * 1024**2
TOO_MUCH_MEMORY = "needs more memory to be read than it may have"


def main() -> None:
    """Answer the one question on standard input."""
    header, _ = frames.read(sys.stdin.buffer, max_bytes=MAX_REQUEST)
    # what libraries print must not get into the answer
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit(header["limits"])
    try:
        found, files = _look(header)
    except Refused as error:
        found, files = {"refused": error.text, "field": error.field}, {}
    except MemoryError:
        found, files = {"refused": TOO_MUCH_MEMORY, "field": "file"}, {}
    frames.write(answer, found, files)


def _look(header: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    # after the limits are set, and not in the parent: these load all the libraries
    from models_app.ml.exchange import intake  # noqa: PLC0415

    limits = intake.Limits(names=frozenset(header["names"]))
    with Path(header["path"]).open("rb") as file:
        taken = intake.take_in(file, Wishes(**header["wishes"]), limits)
    found = {key: value for key, value in vars(taken).items() if key != "files"}
    return {"taken": found}, taken.files


def _limit(limits: dict[str, int]) -> None:
    names = {
        "memory": resource.RLIMIT_AS,
        "cpu_seconds": resource.RLIMIT_CPU,
        "answer_bytes": resource.RLIMIT_FSIZE,
        "open_files": resource.RLIMIT_NOFILE,
    }
    for name, kind in names.items():
        resource.setrlimit(kind, (limits[name], limits[name]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
