"""Data sets for the tests of training, good and bad."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from django.conf import settings


def table(rows: int = 300, *, seed: int = 1, **columns: Any) -> pa.Table:
    """Payments, one an hour, a fifth fraud with higher amounts; `columns` add to them or,
    when None, take one away."""
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 0.2
    start = np.datetime64("2026-01-01T00:00:00", "s")
    base = {
        "timestamp": start + np.arange(rows).astype("timedelta64[h]"),
        "amount": np.round(rng.lognormal(3, 1, rows) * np.where(fraud, 4, 1), 2),
        "shop": np.where(rng.random(rows) < 0.5, "grocery", "fuel"),
        "is_fraud": fraud.astype(np.int8),
    }
    return pa.table({k: v for k, v in {**base, **columns}.items() if v is not None})


def path_of(name: str) -> Path:
    path: Path = settings.DATA_ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def put(name: str, content: bytes | str | pa.Table) -> str:
    """Write a file below the data root in the format of its name; gives the name."""
    path = path_of(name)
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name.endswith(".parquet"):
        pq.write_table(content, path)
    else:
        plain = pa.BufferOutputStream()
        pa_csv.write_csv(content, plain)
        data = plain.getvalue().to_pybytes()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def csv(rows: int = 300, **columns: Any) -> str:
    """The text of a CSV file of payments."""
    text = pa.BufferOutputStream()
    pa_csv.write_csv(table(rows, **columns), text)
    return text.getvalue().to_pybytes().decode()
