"""The demo world as a file."""

import os
from pathlib import Path

import pyarrow.csv as pa_csv

from features.ml import demo_world


def write_demo_world(*, target: Path, world: demo_world.World) -> int:
    """Write the world's payments to a CSV file, whole or not at all; gives their number."""
    table = demo_world.generate(world)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        pa_csv.write_csv(table, scratch)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return int(table.num_rows)
