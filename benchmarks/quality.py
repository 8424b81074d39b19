"""Quality on public data, trained through the API: `python -m benchmarks.quality --data DIR`.

DIR holds `ethereum/ethereum_accounts.csv.gz` (a messy file of labelled
accounts) and `handbook/transactions.parquet` (the Fraud Detection Handbook's
simulated card payments). Starts a platform of its own; needs nothing running.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import platform

ETHEREUM_GOAL = 0.99
TRAIN, GAP_END, TEST_END = "2018-07-25", "2018-08-08", "2018-08-15"

# The handbook's columns: customers over (t - w, t], terminals over (t - 7d - w, t - 7d].
CUSTOMER = """
  count(*) OVER (c RANGE BETWEEN INTERVAL '{days} days' - INTERVAL '1 second' PRECEDING
                 AND CURRENT ROW) AS CUSTOMER_NB_TX_{days}DAY,
  avg(TX_AMOUNT) OVER (c RANGE BETWEEN INTERVAL '{days} days' - INTERVAL '1 second' PRECEDING
                 AND CURRENT ROW) AS CUSTOMER_AVG_AMOUNT_{days}DAY,"""
TERMINAL = """
  count(*) OVER (t RANGE BETWEEN INTERVAL '{until} days' - INTERVAL '1 second' PRECEDING
                 AND INTERVAL '7 days' PRECEDING) AS TERMINAL_NB_TX_{days}DAY,
  coalesce(avg(TX_FRAUD) OVER (t RANGE BETWEEN INTERVAL '{until} days' - INTERVAL '1 second'
                 PRECEDING AND INTERVAL '7 days' PRECEDING), 0) AS TERMINAL_RISK_{days}DAY,"""
FEATURES = """
CREATE TABLE features AS SELECT {windows}
  TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TX_AMOUNT, TX_FRAUD,
  (dayofweek(TX_DATETIME) IN (0, 6))::INT AS TX_DURING_WEEKEND,
  (hour(TX_DATETIME) <= 6)::INT AS TX_DURING_NIGHT
FROM read_parquet('{source}')
WINDOW c AS (PARTITION BY CUSTOMER_ID ORDER BY TX_DATETIME),
       t AS (PARTITION BY TERMINAL_ID ORDER BY TX_DATETIME)
"""
# A card whose fraud is known by then is not asked about again.
KNOWN = """
SELECT 1 FROM features f WHERE f.CUSTOMER_ID = x.CUSTOMER_ID AND f.TX_FRAUD = 1
  AND f.TX_DATETIME >= TIMESTAMP '{train}'
  AND f.TX_DATETIME < date_trunc('day', x.TX_DATETIME) - INTERVAL '7 days'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    with platform.running() as running:
        rows = [*ethereum(running, options.data), *handbook(running, options.data)]
    for row in rows:
        print(f"{row['name']:<50} {row['value']:>10.4f} {row['unit']}{_verdict(row)}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def ethereum(running: platform.Platform, data: Path) -> list[dict[str, Any]]:
    name = "ethereum_accounts.csv.gz"
    target = running.var / "datasets" / name
    shutil.copyfile(data / "ethereum" / name, target)
    job = running.train("ethereum", name, {"label_column": "FLAG"})
    test = job["metrics"]["test"]
    return [
        _row("ethereum: held-out AUROC", test["auroc"], goal=ETHEREUM_GOAL),
        _row("ethereum: held-out average precision", test["average_precision"]),
        _row("ethereum: training", job["seconds"], unit="s"),
    ]


def handbook(running: platform.Platform, data: Path) -> list[dict[str, Any]]:
    target = running.var / "datasets" / "handbook.parquet"
    share = first_split(data / "handbook" / "transactions.parquet", target)
    parameters = {
        "label_column": "TX_FRAUD",
        "time_column": "TX_DATETIME",
        "test_split": share,
        "label_delay_days": 7,
        "max_depth": 3,
    }
    job = running.train("handbook", target.name, parameters)
    test = job["metrics"]["test"]
    return [
        _row("handbook first split: held-out rows", test["rows"], unit="rows"),
        _row("handbook first split: held-out AUROC", test["auroc"]),
        _row("handbook first split: held-out average precision", test["average_precision"]),
        _row("handbook first split: training", job["seconds"], unit="s"),
    ]


def first_split(source: Path, target: Path) -> float:
    """Write the first split's rows with the handbook's columns; gives the test's share."""
    windows = "".join(
        template.format(days=days, until=days + 7)
        for days in (1, 7, 30)
        for template in (CUSTOMER, TERMINAL)
    )
    with duckdb.connect() as connection:
        connection.execute(FEATURES.format(windows=windows, source=source))
        connection.execute(
            f"""CREATE TABLE split AS SELECT * FROM features x
            WHERE TX_DATETIME >= TIMESTAMP '{TRAIN}' AND TX_DATETIME < TIMESTAMP '{TEST_END}'
            AND NOT (TX_DATETIME >= TIMESTAMP '{GAP_END}'
                     AND EXISTS ({KNOWN.format(train=TRAIN)}))"""
        )
        connection.execute(f"COPY split TO '{target}' (FORMAT parquet)")
        tested, total = connection.execute(
            f"SELECT count(*) FILTER (TX_DATETIME >= TIMESTAMP '{GAP_END}'), count(*) FROM split"
        ).fetchone()
    return tested / total


def _verdict(row: dict[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    return f"  (goal {row['goal']:g}: {'reached' if row['reached'] else 'NOT reached'})"


def _row(name: str, value: float, *, unit: str = "", goal: float | None = None) -> dict[str, Any]:
    reached = None if goal is None else value >= goal
    return {"name": name, "value": value, "unit": unit, "goal": goal, "reached": reached}


if __name__ == "__main__":
    main()
