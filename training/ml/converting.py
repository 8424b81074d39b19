"""The child that reads a stranger's file: `python -m training.ml.converting NAME BYTES TARGET`.

The file is its standard input. It writes the rows as an Arrow file that the parent can map, and
dies of its own limits when the file is a bomb. What is wrong with the file it says as JSON on
its standard output.
"""

import json
import os
import resource
import sys
from pathlib import Path

import pyarrow as pa

from training.ml import reading
from training.ml.errors import TrainingError

REFUSED = 3  # exit status
ROOM = 2 * 1024**3  # for what reading takes beside the rows themselves
_FILE = 1024**3  # headers, padding and validity bits of the target


def main(name: str, max_bytes: int, target: Path) -> int:
    """Convert standard input; gives the exit status."""
    # the whole of a CSV file is in memory for a while, a Parquet file never is
    room = ROOM if name.lower().endswith(".parquet") else ROOM + 2 * max_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes + _FILE, max_bytes + _FILE))
    try:
        schema, batches = reading.read(sys.stdin.buffer, name=name, max_bytes=max_bytes)
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except TrainingError as error:
        print(json.dumps({"field": error.field, "message": error.message}))  # noqa: T201 - the answer
        return REFUSED
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    sys.stdout.flush()
    os._exit(status)  # Arrow's threads may still wait for a file that was refused in the middle
