"""CSV, CSV.gz and Parquet: one table, one model."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from models_app import bundles
from tests.training import data
from training.models import TrainingJob

MONEY = pa.decimal128(9, 2)
Train = Callable[..., TrainingJob]


def model_of(job: TrainingJob) -> bytes:
    assert job.version is not None, job.error
    files = bundles.read(job.version.bundle_folder, digest=job.version.bundle_digest)[1]
    return files["model.ubj"]


def test_each_format_gives_the_same_model(train: Train) -> None:
    jobs = [train(data.put(f"a.{kind}", data.table())) for kind in ("csv", "csv.gz", "parquet")]
    assert len({model_of(job) for job in jobs}) == 1
    first, *others = ({**job.metrics, "seconds": {}} for job in jobs)
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: "\ufeff" + text, "byte order mark"),
        (lambda text: text.replace("\n", "\r\n"), "Windows line ends"),
        (lambda text: text.rstrip("\n"), "no newline at the end"),
        (lambda text: text.replace('"amount"', '" amount "'), "blanks around a name"),
        (lambda text: text.replace('"', ""), "no quotes"),
        (lambda text: text.replace(',"fuel"', ',"fuel "'), "blanks around a category"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_what_spreadsheets_do_to_a_file_changes_nothing(
    change: Callable[[str], str], what: str, train: Train
) -> None:
    plain, changed = data.csv(), change(data.csv())
    assert plain != changed
    assert model_of(train(data.put("a.csv", plain))) == model_of(train(data.put("b.csv", changed)))


def test_the_end_of_the_name_may_be_in_capitals(train: Train) -> None:
    assert train(data.put("A.CSV", data.csv())).status == "succeeded"


@pytest.mark.parametrize("hole", ["", "NA", "N/A", "NaN", "null", "NULL", "None", "#N/A"])
def test_the_usual_words_for_nothing_are_missing_values(hole: str, train: Train) -> None:
    lines = data.csv().splitlines()
    lines[1] = ",".join([lines[1].split(",")[0], hole, *lines[1].split(",")[2:]])
    version = train(data.put("a.csv", "\n".join(lines))).version
    assert version is not None
    assert version.signature["features"][0] == {"name": "amount", "kind": "numeric"}


@pytest.mark.parametrize(
    ("no", "yes"),
    [
        ("0", "1"),
        ("false", "true"),
        ("No", "YES"),
        ("0.0", "1.0"),
        (" n", "y "),
        ("legit", "fraud"),
    ],
)
def test_a_label_may_be_spelled_in_many_ways(no: str, yes: str, train: Train) -> None:
    fraud = data.table()["is_fraud"].to_numpy()
    job = train(data.put("a.csv", data.csv(is_fraud=np.where(fraud == 1, yes, no))))
    assert job.status == "succeeded", job.error
    assert f"{fraud.sum()} of 300 rows" in job.log


def test_rows_without_a_label_are_left_out_and_counted(train: Train) -> None:
    labels = data.table()["is_fraud"].to_pylist()
    job = train(data.put("a.csv", data.csv(is_fraud=[None] * 20 + labels[20:])))
    assert "Left out (rows): 20 rows without a label." in job.log
    assert "of 280 rows" in job.log


def test_the_column_types_of_parquet_become_features(train: Train) -> None:
    rows = 300
    rng = np.random.default_rng(3)
    table = data.table(
        timestamp=pa.array(np.arange(rows) * 3_600_000, pa.timestamp("ms", tz="Europe/Berlin")),
        shop=pa.array(rng.choice(["a", "b"], rows)).dictionary_encode(),
        chip=pa.array([None, *(rng.random(rows - 1) < 0.5)], pa.bool_()),
        fee=pa.array([Decimal(int(n)) / 100 for n in rng.integers(0, 99, rows)], MONEY),
        big=pa.array(rng.integers(0, 2**62, rows), pa.int64()),
        unsigned=pa.array(rng.integers(0, 2**63, rows, np.uint64), pa.uint64()),
        born=pa.array(rng.integers(0, 9999, rows).astype("int32"), pa.date32()),
        large=pa.array(rng.choice(["x", "y"], rows), pa.large_string()),
    )  # fmt: skip
    job = train(data.put("a.parquet", table))
    assert job.version is not None, job.error
    kinds = {f["name"]: f["kind"] for f in job.version.signature["features"]}
    assert kinds == {
        "amount": "numeric", "shop": "category", "chip": "boolean", "fee": "numeric",
        "big": "numeric", "unsigned": "numeric", "large": "category",
    }  # fmt: skip
    assert job.version.lineage["dataset"]["time"] == "timestamp"
    assert job.version.lineage["dataset"]["dropped"] == {"born": "a second time column"}
