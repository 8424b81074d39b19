"""A stranger's file is read in a child with limits; this process only maps what it wrote."""

import gzip
import io
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training import data
from training.ml import loading
from training.ml.errors import Cancelled, TrainingError

LIMIT = 64 * 1024**2


def load(path: Path, *, max_bytes: int = LIMIT) -> pa.Table:
    with path.open("rb") as file, loading.table(
        file, name=path.name, max_bytes=max_bytes, scratch=path.parent, tick=lambda: None
    ) as table:  # fmt: skip
        return pa.Table.from_pydict(table.to_pydict(), schema=table.schema)


def test_rows_come_back_as_they_were_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = data.table(500)
    pq.write_table(rows, path)
    assert load(path).to_pydict() == rows.to_pydict()
    assert list(tmp_path.iterdir()) == [path]


def test_text_in_dictionaries_comes_back_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    shops = pa.array(["a", None, "b", "a"]).dictionary_encode()
    pq.write_table(pa.table({" shop ": shops}), path)
    assert load(path).to_pydict() == {"shop": ["a", None, "b", "a"]}


def bomb(path: Path, rows: int) -> None:
    """A small file of very many equal numbers."""
    column = pa.chunked_array([pa.repeat(1.5, 1_000_000)] * (rows // 1_000_000))
    pq.write_table(pa.table({"amount": column}), path, row_group_size=rows, compression="zstd")


def test_a_parquet_file_that_explodes_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    bomb(path, 20_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(TrainingError, match=r"dataset_path: holds more than 67,108,864 bytes"):
        load(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_gzip_that_explodes_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"amount,is_fraud\n" + b"1.00,0\n" * 12_000_000))
    with pytest.raises(TrainingError, match="holds more than"):
        load(path)


def test_a_child_that_dies_of_its_limits_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(subprocess.Popen):  # type: ignore[type-arg]
        def communicate(self, *args: object, **kwargs: object) -> tuple[bytes, bytes]:
            self.kill()
            super().communicate()
            return b"", b""

    monkeypatch.setattr(subprocess, "Popen", Killed)
    path = tmp_path / "rows.parquet"
    pq.write_table(data.table(10), path)
    with pytest.raises(TrainingError, match="explodes when it is unpacked"):
        load(path)


def test_a_cancel_while_the_child_reads_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(data.table(50_000), path)

    def tick() -> None:
        raise Cancelled

    with (
        path.open("rb") as file,
        pytest.raises(Cancelled),
        loading.table(file, name=path.name, max_bytes=LIMIT, scratch=tmp_path, tick=tick),
    ):
        pytest.fail("it was read although nobody wants it")
    assert list(tmp_path.iterdir()) == [path]


def test_reading_before_does_not_hide_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(data.csv(300))
    with path.open("rb") as file:
        file.read(1000)
        opened = loading.table(file, name="rows.csv", max_bytes=LIMIT, tick=lambda: None)
        with opened as table:
            assert table.num_rows == 300


def test_what_is_wrong_with_the_file_is_said_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(io.BytesIO(b"PAR1 is not enough").getvalue())
    with pytest.raises(TrainingError, match=r"^dataset_path: can't be read"):
        load(path)
