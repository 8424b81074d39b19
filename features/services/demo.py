"""The demo world as a file."""

from pathlib import Path

import pyarrow.csv as pa_csv

from aegisml.base import paths
from features.ml import demo_world


def write_demo_world(*, target: Path, world: demo_world.World) -> int:
    """Write the world's payments to a CSV file, whole or not at all; gives their number."""
    table = demo_world.generate(world)
    with paths.replacing(target) as scratch:
        pa_csv.write_csv(table, scratch)
    return int(table.num_rows)
