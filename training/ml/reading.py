"""A file of rows, read within a limit: CSV, CSV.gz or Parquet."""

import csv
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from training.ml.errors import TrainingError

FIELD = "dataset_path"
SUFFIXES = (".csv", ".csv.gz", ".parquet")
NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A"]
MAX_HEADER = 1024 * 1024
MAX_COLUMNS = 5000
_CHUNK = 1024 * 1024
BATCH_ROWS = 65_536


def read(
    file: BinaryIO, *, name: str, max_bytes: int
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The rows of `file`, whose format its `name` tells, some at a time.

    Column names lose surrounding blanks. Raises `TrainingError`, at once or on
    the way, for an unknown format, an empty or broken file, duplicate column names, no rows, or
    more than `max_bytes` of data after decompression.
    """
    lowered = name.lower()
    if not lowered.endswith(SUFFIXES):
        raise TrainingError(FIELD, f"must end in {', '.join(SUFFIXES)}")
    if not file.read(1):
        raise TrainingError(FIELD, "the file is empty")
    file.seek(0)
    with _refusals():
        if lowered.endswith(".parquet"):
            parquet = pq.ParquetFile(file)
            schema, batches = _plain(parquet.schema_arrow), _of_parquet(parquet, max_bytes)
        else:
            plain = gzip.GzipFile(fileobj=file) if lowered.endswith(".gz") else file
            table = _read_csv(_Limited(plain, max_bytes))
            schema, batches = table.schema, iter(table.to_batches())
    return schema, _some(batches)


def _some(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = 0
    with _refusals():
        for batch in batches:
            rows += batch.num_rows
            yield batch
    if not rows:
        raise TrainingError(FIELD, "the file has no rows")


@contextmanager
def _refusals() -> Iterator[None]:
    """The libraries' errors as ours."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise TrainingError(FIELD, f"can't be read: {_first_line(error)}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(FIELD, "the gzip data is broken") from error
    except UnicodeDecodeError as error:
        raise TrainingError(FIELD, "the text is not UTF-8") from error


def fingerprint(file: BinaryIO) -> str:
    """SHA-256 of the whole file; leaves it at its start."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _read_csv(stream: "_Limited") -> pa.Table:
    buffered = io.BufferedReader(stream, _CHUNK)
    header = buffered.readline(MAX_HEADER)
    if not header.endswith(b"\n") and len(header) == MAX_HEADER:
        raise TrainingError(FIELD, "the header line is too long")
    names = _clean_names(next(csv.reader([header.decode("utf-8-sig")]), []))
    convert = pa_csv.ConvertOptions(null_values=NULLS, strings_can_be_null=True)
    try:
        return pa_csv.read_csv(
            buffered,
            read_options=pa_csv.ReadOptions(column_names=names, block_size=8 * _CHUNK),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            raise TrainingError(FIELD, "the file has no rows") from error
        raise


def _of_parquet(parquet: pq.ParquetFile, max_bytes: int) -> Iterator[pa.RecordBatch]:
    schema = _plain(parquet.schema_arrow)
    size = 0
    # the declared size is no proof: count what each batch really takes
    for batch in parquet.iter_batches(BATCH_ROWS):
        size += batch.nbytes
        if size > max_bytes:
            raise TrainingError(FIELD, f"holds more than {max_bytes:,} bytes of data")
        columns = [
            column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(schema: pa.Schema) -> pa.Schema:
    """With clean names, and the values themselves in place of dictionaries of them."""
    kinds = [
        field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        for field in schema
    ]
    return pa.schema(list(zip(_clean_names(schema.names), kinds, strict=True)))


def _clean_names(names: list[str]) -> list[str]:
    cleaned = [name.strip() or f"unnamed_{i}" for i, name in enumerate(names)]
    if not names or len(names) > MAX_COLUMNS:
        raise TrainingError(FIELD, f"must have between 1 and {MAX_COLUMNS:,} columns")
    doubled = [name for name, times in Counter(cleaned).items() if times > 1]
    if doubled:
        raise TrainingError(doubled[0], "this column name stands more than once in the header")
    return cleaned


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


class _Limited(io.RawIOBase):
    """A reader that refuses to give more than `limit` bytes."""

    def __init__(self, source: BinaryIO | gzip.GzipFile, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise TrainingError(FIELD, f"holds more than {self._limit:,} bytes of data")
        buffer[: len(data)] = data
        return len(data)
