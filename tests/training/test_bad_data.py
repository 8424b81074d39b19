"""A file that can't be trained on fails its job, which names the column and leaves nothing."""

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training import data
from training.models import TrainingJob

Train = Callable[..., TrainingJob]
Nothing = Callable[[], bool]
ROWS = 300
HALF = np.arange(ROWS) % 2


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def values(*few: Any) -> list[Any]:
    """A column of `ROWS` values: `few`, then zeros."""
    return [*few, *[0] * (ROWS - len(few))]


CASES: dict[str, tuple[str, Any, str, str]] = {
    "header only": ("a.csv", "timestamp,amount,is_fraud\n", "dataset_path", "no rows"),
    "blank line": ("a.csv", "\n", "dataset_path", "columns"),
    "no label": ("a.csv", data.csv(is_fraud=None), "label_column", "no label column found"),
    "one class": ("a.csv", data.csv(is_fraud=[0] * ROWS), "is_fraud", "one class only"),
    "three classes": ("a.csv", data.csv(is_fraud=values(1, 2)), "is_fraud", "binary"),
    "label of words": ("a.csv", data.csv(is_fraud=["maybe"] * ROWS), "is_fraud", "binary"),
    "no label in any row": ("a.csv", data.csv(is_fraud=[None] * ROWS), "is_fraud", "one class"),
    "column without a value": ("a.csv", data.csv(ghost=[None] * ROWS), "ghost", "no value at all"),
    "column of a name twice": (
        "a.csv", "amount,is_fraud, amount\n1,0,2\n", "amount", "more than once",
    ),
    "number column with text": (
        "a.csv", data.csv(score=[*map(str, range(ROWS - 1)), "12,5"]), "score", "'12,5'",
    ),
    "infinite number": ("a.csv", data.csv(score=values(0.5, 1, float("inf"))), "score", "row 3"),
    "number too large": ("a.csv", data.csv(score=values(0.5, 1e39)), "score", "row 2"),
    "time missing in a row": (
        "a.csv", data.csv(timestamp=None, at=[None, *["2026-01-01 00:00:00"] * (ROWS - 1)]),
        "at", "1 rows have no time",
    ),
    "nothing but the label": (
        "a.csv", text("is_fraud", *map(str, HALF)), "dataset_path", "no column is left",
    ),
    "one row": ("a.csv", "amount,is_fraud\n1,0\n", "is_fraud", "one class only"),
    "two rows": ("a.csv", "amount,is_fraud\n1,0\n2,1\n", "test_split", "too few rows"),
    "fraud only at the end": (
        "a.csv", data.csv(is_fraud=np.arange(ROWS) >= ROWS - 5), "test_split", "both classes",
    ),
    "ragged rows": ("a.csv", "amount,is_fraud\n1,0,7\n", "dataset_path", "can't be read"),
    "quote never closed": ("a.csv", 'a,is_fraud\n"1,0\n2,1\n', "dataset_path", "can't be read"),
    "UTF-16": ("a.csv", data.csv().encode("utf-16"), "dataset_path", "UTF-8"),
    "zeros": ("a.csv", b"\0" * 500, "dataset_path", ""),
    "Latin-1 in a column": (
        "a.csv", data.csv(city=["Köln", "Aachen"] * 150).encode("latin-1"), "city", "binary",
    ),
    "Latin-1 in the header": (
        "a.csv", "größe,is_fraud\n1,0\n".encode("latin-1"), "dataset_path", "UTF-8",
    ),
    "no gzip": ("a.csv.gz", data.csv(), "dataset_path", "gzip"),
    "gzip cut off": ("a.csv.gz", gzip.compress(data.csv().encode())[:-9], "dataset_path", "gzip"),
    "gzip damaged": (
        "a.csv.gz", gzip.compress(data.csv().encode())[:-8] + b"\1" * 8, "dataset_path", "gzip",
    ),
    "no parquet": ("a.parquet", data.csv(), "dataset_path", "can't be read"),
    "parquet cut off": ("a.parquet", b"PAR1" + b"\0" * 40, "dataset_path", "can't be read"),
    "parquet with a list column": (
        "a.parquet", data.table(items=[[1, 2]] * ROWS), "items", "can't be trained on",
    ),
    "parquet without rows": ("a.parquet", data.table().slice(0, 0), "dataset_path", "no rows"),
    "parquet with a name twice": (
        "a.parquet",
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["amount", "amount "]),
        "amount", "more than once",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_data_fails_the_job_by_name_and_leaves_nothing(
    case: str, train: Train, nothing_left: Nothing
) -> None:
    name, content, field, words = CASES[case]
    job = train(data.put(name, content))
    assert (job.status, job.error_field) == ("failed", field), job.error
    assert words in job.error
    assert job.finished_at is not None
    assert nothing_left()


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"label_column": "nope"}, "label_column"),
        ({"label_column": "amount"}, "amount"),
        ({"time_column": "nope"}, "time_column"),
        ({"time_column": "is_fraud"}, "time_column"),
        ({"time_column": "shop"}, "shop"),
        ({"exclude_columns": ["nope"]}, "exclude_columns"),
        ({"keep_columns": ["nope"]}, "keep_columns"),
        ({"exclude_columns": ["amount", "shop"]}, "dataset_path"),
        ({"label_delay_days": 365}, "test_split"),
    ],
)
def test_a_parameter_that_does_not_fit_the_file_is_named(
    parameters: dict[str, Any], field: str, train: Train, nothing_left: Nothing
) -> None:
    job = train(data.put("a.csv", data.table()), **parameters)
    assert (job.status, job.error_field) == ("failed", field), job.error
    assert nothing_left()


def bomb() -> pa.Table:
    """Half a kilobyte of Parquet that unfolds to many megabytes."""
    word = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int8()), ["x" * 100_000])
    return data.table(word=word.cast(pa.string()))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_data_over_the_limit_is_refused_however_small_its_file(
    name: str, train: Train, nothing_left: Nothing, settings: Any
) -> None:
    settings.TRAINING = settings.TRAINING.model_copy(update={"max_dataset_bytes": 1_000_000})
    job = train(data.put(name, bomb()))
    assert (job.status, job.error_field) == ("failed", "dataset_path")
    assert "more than 1,000,000 bytes" in job.error
    assert nothing_left()


def test_a_file_that_vanished_since_the_request_fails_the_job(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = data.put("a.csv", data.table())
    claim = TrainingJob.claim

    def vanish(job: TrainingJob, **kwargs: Any) -> bool:
        data.path_of(name).unlink()
        return claim(job, **kwargs)

    monkeypatch.setattr(TrainingJob, "claim", vanish)
    job = train(name)
    assert (job.status, job.error_field) == ("failed", "dataset_path")
