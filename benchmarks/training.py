"""The training engine measured: `python -m benchmarks.training --data DIR [--json FILE]`.

DIR holds the Fraud Detection Handbook's `transactions.parquet`, for the leak alarms. Each part
runs in a process of its own; none needs anything running.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import tables

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("overhead", "large", "parity", "repeat", "resume", "leaks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out other parts")
    parser.add_argument("--rows", type=int, default=20_000_000, help="of the large training")
    options = parser.parse_args()
    rows: list[tables.Row] = []
    for part in options.only or PARTS:
        print(f"... {part}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.training_parts", part]
        done = subprocess.run(
            [*command, str(options.data), str(options.rows)],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        tables.show(found)
        rows += found
    print()
    tables.show(rows, options.json)


if __name__ == "__main__":
    main()
