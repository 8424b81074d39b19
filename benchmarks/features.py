"""The feature store on public data: `python -m benchmarks.features --data DIR [--json FILE]`.

DIR holds the Fraud Detection Handbook's `transactions.parquet` and
`features_first_75_days.parquet`. Starts engines of its own in a temporary
folder; needs nothing running. Each part that is measured for memory or against
another runs in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("offline", "numpy", "online", "large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--events", type=int, default=50_000_000, help="of the large backfill")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out other parts")
    options = parser.parse_args()
    rows = run(options)
    for row in rows:
        print(f"{row['name']:<58} {row['value']:>14,.4f} {row['unit']:<9}{_verdict(row)}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    from aegisml import embedded

    wanted = options.only or PARTS
    with tempfile.TemporaryDirectory(prefix="aegisml-benchmark-") as folder:
        var = Path(folder)
        var.chmod(0o755)  # the embedded database runs as a user of its own
        os.environ["AEGIS__VAR_DIR"] = folder
        os.environ["AEGIS_DATABASE_LIMITS"] = "off"
        os.environ.setdefault("AEGIS__LOGGING__LEVEL", "WARNING")
        embedded.start(var)
        try:
            _call(["manage.py", "migrate", "--verbosity=0"])
            found = {part: _part(part, options) for part in PARTS if part in wanted}
        finally:
            embedded.stop(var)
    return _rows(found) + ([] if options.only else [_row(*_joins())])


def _part(part: str, options: argparse.Namespace) -> dict[str, float]:
    print(f"... {part}", file=sys.stderr, flush=True)
    output = _call(["-m", "benchmarks.feature_parts", part, str(options.data), str(options.events)])
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    print(f"    {found}", file=sys.stderr, flush=True)
    return found


def _joins() -> tuple[str, float, str, float, Callable[[float, float], bool]]:
    """The property test against brute force, and the golden case of the point-in-time join."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS")}
    tests = ["tests/features/test_windows.py", "tests/features/test_point_in_time.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests], cwd=ROOT, env=environment, check=False,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    name = "point-in-time join: brute force and golden case fail"
    return name, float(done.returncode), "exit", 0, _at_most


def _call(arguments: list[str]) -> str:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _at_least(value: float, goal: float) -> bool:
    return value >= goal


def _at_most(value: float, goal: float) -> bool:
    return value <= goal


def _rows(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if offline := found.get("offline"):
        rows += [
            _row("offline: handbook rows equal", offline["equal"], "%", 99.99, _at_least),
            _row("offline: 14 features of 1.5 M events", offline["seconds"], "s"),
            _row("offline: peak memory", offline["peak_mb"], "MB", 2048, _at_most),
        ]
        if numpy := found.get("numpy"):
            rows += [
                _row("the same by hand in numpy", numpy["seconds"], "s"),
                _row("offline / numpy", offline["seconds"] / numpy["seconds"], "x", 3, _at_most),
            ]
    if online := found.get("online"):
        rows += [
            _row("online: replayed events", online["events"], "events"),
            _row("online: asks compared with offline", online["asks"], "asks"),
            _row("online: asks that disagree", online["disagreeing"], "asks", 0, _at_most),
            _row("online: updates, one event at a time", online["updates"], "events/s", 3000,
                 _at_least),
            _row("online: updates, 1,000 at a time", online["batched"], "events/s", 3000,
                 _at_least),
            _row("online: read of 14 features, p50", online["p50_ms"], "ms"),
            _row("online: read of 14 features, p99", online["p99_ms"], "ms", 1, _at_most),
            _row("online: round trips a read", online["round_trips"], "", 1, _at_most),
            _row("ingest through the log and online", online["ingested"], "events/s"),
        ]  # fmt: skip
    if large := found.get("large"):
        rows += [
            _row("large: events", large["events"], "events"),
            _row("large: backfill of 14 features", large["seconds"], "s"),
            _row("large: peak memory", large["peak_mb"], "MB", 4096, _at_most),
        ]
    return rows


def _row(
    name: str,
    value: float,
    unit: str,
    goal: float | None = None,
    test: Callable[[float, float], bool] = _at_least,
) -> dict[str, Any]:
    reached = None if goal is None else test(value, goal)
    return {"name": name, "value": value, "unit": unit, "goal": goal, "reached": reached}


def _verdict(row: dict[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    return f"  (goal {row['goal']:g}: {'reached' if row['reached'] else 'NOT reached'})"


if __name__ == "__main__":
    main()
