"""Rows of a benchmark: a name, a value, a goal, and whether it was reached."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

Row = dict[str, Any]


def row(
    name: str,
    value: float,
    unit: str = "",
    goal: float | None = None,
    *,
    better: Literal["more", "less"] = "more",
) -> Row:
    """`goal` is the least value that is good enough, or the most where less is better."""
    reached = None if goal is None else (value >= goal if better == "more" else value <= goal)
    return {"name": name, "value": value, "unit": unit, "goal": goal, "reached": reached}


def show(rows: Sequence[Row], file: Path | None = None) -> None:
    """Print the table, and write it to `file` as JSON."""
    for line in rows:
        print(f"{line['name']:<66} {line['value']:>14,.4f} {line['unit']:<8}{_verdict(line)}")
    if file is not None:
        file.write_text(json.dumps(rows, indent=2))


def _verdict(line: Row) -> str:
    if line["goal"] is None:
        return ""
    return f" (goal {line['goal']:g}: {'reached' if line['reached'] else 'NOT reached'})"
