"""Rows of a file, a part at a time: CSV, CSV.gz or Parquet, never whole in memory."""

import csv
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_CHUNK = 1024 * 1024
Row = dict[str, Any]


class UnreadableFile(ValueError):
    """The file can't be read (any further); the text is one sentence about it."""


class Rows(Protocol):
    """An open file. `total` is its number of rows where the format tells."""

    total: int | None
    names: list[str]

    def parts(self, size: int, *, skip: int) -> Iterator[list[Row]]:
        """The rows after the first `skip`, `size` at a time. Raises `UnreadableFile`."""

    def share(self) -> float:
        """How much of the file was read, from 0 to 1."""


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Open a file whose name tells its format. Raises `UnreadableFile`."""
    if not path.name.lower().endswith(SUFFIXES):
        raise UnreadableFile(f"its name must end in {', '.join(SUFFIXES)}")
    rows: Rows
    with _told():
        file = path.open("rb")
    with file:
        with _told():
            rows = _Parquet(file) if path.name.lower().endswith(".parquet") else _Csv(file, path)
        yield rows


@contextmanager
def _told() -> Iterator[None]:
    """What can be wrong with a file, as one kind of error."""
    try:
        yield
    except (csv.Error, pa.ArrowException) as error:
        raise UnreadableFile(str(error).splitlines()[0][:200]) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UnreadableFile("its gzip data is broken") from None
    except UnicodeDecodeError:
        raise UnreadableFile("it is no text in UTF-8") from None
    except OSError as error:
        raise UnreadableFile(error.strerror or type(error).__name__) from None


def fingerprint(path: Path) -> str:
    """SHA-256 of the whole file. Raises `UnreadableFile`."""
    digest = hashlib.sha256()
    with _told(), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Csv:
    """All values are text. A row with more values than the header has them under "column 9"."""

    total: int | None = None

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._bytes = max(1, path.stat().st_size)
        plain: Any = gzip.GzipFile(fileobj=file) if path.name.lower().endswith(".gz") else file
        self._text: TextIO = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        self._reader = csv.reader(self._text)
        self.names = _clean(next(self._reader, []))

    def parts(self, size: int, *, skip: int) -> Iterator[list[Row]]:
        lines = (line for line in self._reader if line)  # a blank line is read as an empty list
        with _told():
            next(islice(lines, skip, skip), None)
            while rows := [self._row(line) for line in islice(lines, size)]:
                yield rows

    def share(self) -> float:
        return min(1.0, self._file.tell() / self._bytes)

    def _row(self, line: list[str]) -> Row:
        row: Row = dict(zip(self.names, line, strict=False))
        for i in range(len(self.names), len(line)):
            row[f"column {i + 1}"] = line[i]
        return row


class _Parquet:
    def __init__(self, file: BinaryIO) -> None:
        self._file = pq.ParquetFile(file)
        self.names = _clean(self._file.schema_arrow.names)
        self.total: int | None = self._file.metadata.num_rows
        self._read = 0

    def parts(self, size: int, *, skip: int) -> Iterator[list[Row]]:
        groups, left = self._groups_after(skip)
        self._read = skip
        with _told():
            for batch in self._file.iter_batches(batch_size=size, row_groups=groups):
                wanted = batch.slice(min(left, batch.num_rows))
                left -= batch.num_rows - wanted.num_rows
                self._read += wanted.num_rows
                if wanted.num_rows:
                    yield self._rows(wanted)

    def _rows(self, batch: pa.RecordBatch) -> list[Row]:
        columns = [_values(column) for column in batch.columns]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]

    def share(self) -> float:
        return self._read / max(1, self.total or 0)

    def _groups_after(self, skip: int) -> tuple[list[int], int]:
        """The row groups that hold rows after the first `skip`, and how many rows to skip there."""
        metadata = self._file.metadata
        groups = list(range(metadata.num_row_groups))
        while groups and metadata.row_group(groups[0]).num_rows <= skip:
            skip -= metadata.row_group(groups.pop(0)).num_rows
        return groups, skip


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # a time that Python has no word for
        values = pc.cast(column, pa.string()).to_pylist()
    return values


def _clean(names: Iterable[str]) -> list[str]:
    cleaned = [name.strip() for name in names]
    doubled = [name for name, times in Counter(cleaned).items() if times > 1]
    if not cleaned:
        raise UnreadableFile("it is empty")
    if doubled:
        raise UnreadableFile(f"its column {doubled[0][:60]!r} stands more than once")
    return cleaned
