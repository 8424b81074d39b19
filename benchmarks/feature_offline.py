"""The offline store on the handbook's data, and the same columns by hand."""

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.feature_data import (
    DAYS,
    TOLERANCE,
    define,
    load_log,
    names,
    peak_mb,
    transactions,
)

DAY = 86_400
# the handbook's column by the feature's name
GOLDEN = {
    **{f"customer_count_{d}d": f"CUSTOMER_ID_NB_TX_{d}DAY_WINDOW" for d in DAYS},
    **{f"customer_mean_{d}d": f"CUSTOMER_ID_AVG_AMOUNT_{d}DAY_WINDOW" for d in DAYS},
    **{f"terminal_count_{d}d": f"TERMINAL_ID_NB_TX_{d}DAY_WINDOW" for d in DAYS},
    **{f"terminal_risk_{d}d": f"TERMINAL_ID_RISK_{d}DAY_WINDOW" for d in DAYS},
    "weekend": "TX_DURING_WEEKEND",
    "night": "TX_DURING_NIGHT",
}


def offline_part(data: Path) -> dict[str, float]:
    from features import offline

    versions = define("handbook_offline")
    load_log(versions[0].view.stream, transactions(data))
    since, until = datetime(2018, 4, 1, tzinfo=UTC), datetime(2018, 12, 1, tzinfo=UTC)
    started = time.perf_counter()
    tables = [offline.backfill(version, since=since, until=until) for version in versions]
    seconds = time.perf_counter() - started
    peak = peak_mb()
    golden = pq.read_table(data / "features_first_75_days.parquet").sort_by("TRANSACTION_ID")
    equal = np.ones(len(golden), dtype=bool)
    for table in tables:
        ids = table["event_id"].cast(pa.int64()).to_numpy()
        order = np.argsort(ids)[: len(golden)]
        for name in set(table.column_names) & GOLDEN.keys():
            got = table[name].cast(pa.float64()).to_numpy()[order]
            wanted = golden[GOLDEN[name]].cast(pa.float64()).to_numpy()
            equal &= np.isclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    return {"equal": 100 * float(equal.mean()), "seconds": seconds, "peak_mb": peak}


def by_hand(data: Path) -> dict[str, float]:
    """The 14 columns as one would write them for this file alone, from Parquet to arrays."""
    started = time.perf_counter()
    table = pq.read_table(data / "transactions.parquet", columns=list(names()))
    second = table["TX_DATETIME"].cast(pa.int64()).to_numpy() // 1_000_000_000
    amount = table["TX_AMOUNT"].to_numpy()
    fraud = table["TX_FRAUD"].to_numpy().astype(np.float64)
    found = {}
    for key, values, lag in (
        ("CUSTOMER_ID", amount, 0), ("TERMINAL_ID", fraud, 7 * DAY)
    ):  # fmt: skip
        code = table[key].to_numpy().astype(np.int64)
        order = np.lexsort((second, code))
        line = code[order] * 2**32 + second[order]
        totals = np.concatenate([[0.0], np.cumsum(values[order])])
        end = np.searchsorted(line, line - lag, "right") if lag else np.arange(len(line)) + 1
        for days in DAYS:
            start = np.minimum(np.searchsorted(line, line - lag - days * DAY, "right"), end)
            count = end - start
            for name, result in (
                ("count", count), ("mean", (totals[end] - totals[start]) / np.maximum(count, 1))
            ):  # fmt: skip
                column = np.empty(len(line))
                column[order] = result
                found[f"{key} {name} {days}"] = column
    day = second // DAY
    found["weekend"] = (day + 3) % 7 >= 5
    found["night"] = second % DAY // 3600 <= 6
    return {"seconds": time.perf_counter() - started, "columns": len(found)}
