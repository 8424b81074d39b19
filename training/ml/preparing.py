"""The pipeline's first half: from a file to train, validation and test parts that can be fitted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models_app.ml.signature import Signature
from training.ml import columns, features, leaks, loading, reading
from training.ml import split as splitting
from training.ml.algorithms.contract import Algorithm
from training.ml.errors import Evidence, TrainingError
from training.ml.metrics import Beside
from training.ml.part import Part
from training.ml.request import Evaluation, Reporter, Request

AMOUNT_NAMES = ("amount", "tx_amount", "transaction_amount", "amt")
ENTITY_NAMES = (
    "customer_id", "card_id", "account_id", "client_id", "customer", "card_number", "account",
)  # fmt: skip


@dataclass(frozen=True)
class Ready:
    """A data set made ready to be fitted. `evaluation` has the columns that were found for it,
    `notes` are what people should know of the data."""

    digest: str
    data: columns.Columns
    parts: splitting.Split
    signature: Signature
    train: Part
    validation: Part
    test: Part
    evaluation: Evaluation
    notes: tuple[str, ...]

    def beside(self, rows: npt.NDArray[np.intp]) -> Beside:
        """What is known of `rows` for their evaluation."""
        table, asked = self.data.table, self.evaluation
        times = self.data.seconds
        return Beside(
            seconds=None if times is None else times[rows],
            entities=None if asked.entity is None else _codes(table[asked.entity])[rows],
            amounts=None if asked.amount is None else _numbers(table[asked.amount], rows),
            typologies=None if asked.typology is None else _texts(table[asked.typology], rows),
            segments={name: _texts(table[name], rows) for name in asked.segments},
        )


@contextmanager
def prepared(
    request: Request, file: BinaryIO, algorithm: Algorithm, report: Reporter
) -> Iterator[Ready]:
    """The parts of `file` while the context lasts: rows are read from it when they are needed.

    Raises `TrainingError` for what can't be trained on, and `LeakSuspected`.
    """
    report.step("load", 2)
    digest = reading.fingerprint(file)
    opened = loading.table(
        file,
        name=request.dataset_name,
        max_bytes=request.max_bytes,
        scratch=request.scratch,
        tick=report.tick,
    )
    with opened as table:
        report.log(f"Read {table.num_rows:,} rows and {table.num_columns} columns.")
        yield prepare(request, algorithm, digest, table, report)


def prepare(
    request: Request, algorithm: Algorithm, digest: str, table: pa.Table, report: Reporter
) -> Ready:
    """The parts of a table that is read already; raises what `prepared` raises."""
    report.step("validate", 8)
    evaluation = _evaluation(request.evaluation, table)
    data = columns.assign(table, _choices(request.choices, evaluation, algorithm))
    _tell_columns(data, report)
    declared = sorted(request.choices.declared)
    notes = leaks.refuse(leaks.without_history(data.dropped, declared), request.overrides)

    report.step("split", 12)
    parts = splitting.make(data.labels, data.seconds, request.split, count=len(data))
    parts, evidence = _without_known(parts, data, evaluation)
    notes += leaks.refuse(evidence, request.overrides)
    _tell_split(parts, data, report)

    report.step("preprocess", 15)
    signature = features.fit_signature(data, parts.train)
    train, validation, test = (
        features.part(data, signature, rows) for rows in (parts.train, parts.validation, parts.test)
    )
    if data.labels is not None:
        notes += leaks.refuse(leaks.in_features(train, signature.columns), request.overrides)
    report.log(f"{len(signature.features)} features fill {signature.width} input columns.")
    for note in notes:
        report.log(note)
    return Ready(digest, data, parts, signature, train, validation, test, evaluation, tuple(notes))


def _evaluation(asked: Evaluation, table: pa.Table) -> Evaluation:
    """With the usual columns where the request names none."""
    names = table.column_names
    for name in asked.names:
        if name not in names:
            shown = name.removeprefix(columns.BESIDE)
            raise TrainingError("parameters", f"the data have no column {shown!r} to evaluate with")
    by_name = {name.lower(): name for name in names}
    amount = asked.amount or next((by_name[n] for n in AMOUNT_NAMES if n in by_name), None)
    entity = asked.entity or next((by_name[n] for n in ENTITY_NAMES if n in by_name), None)
    if amount is not None and not _is_number(table.schema.field(amount).type):
        if asked.amount:
            raise TrainingError("amount_column", f"{amount!r} holds no numbers")
        amount = None
    return replace(asked, amount=amount, entity=entity)


def _choices(
    choices: columns.Choices, evaluation: Evaluation, algorithm: Algorithm
) -> columns.Choices:
    """What kind of fraud it was is no feature."""
    hidden = [name for name in (evaluation.typology,) if name]
    return replace(
        choices,
        exclude=[*choices.exclude, *hidden],
        takes_sequences=algorithm.TAKES_SEQUENCES,
        needs_labels=algorithm.NEEDS_LABELS,
    )


def _without_known(
    parts: splitting.Split, data: columns.Columns, asked: Evaluation
) -> tuple[splitting.Split, list[Evidence]]:
    """The split without the test rows that nobody would ask about, or the evidence of them."""
    if asked.entity is None or data.labels is None:
        return parts, []
    entities = _codes(data.table[asked.entity])
    if parts.method != "time" or data.seconds is None:
        return parts, leaks.shared_entities(parts.train, parts.test, entities)
    if not asked.keep_known:
        return splitting.without_known(parts, data.labels, data.seconds, entities), []
    known = splitting.known_before(parts, data.labels, data.seconds, entities)
    return parts, leaks.known_entities(known, data.labels[parts.test])


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """One number per entity; each row without one is an entity of its own."""
    encoded = column.dictionary_encode().combine_chunks()
    found: npt.NDArray[np.int64] = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    nameless = np.flatnonzero(found < 0)
    found[nameless] = len(encoded.dictionary) + np.arange(len(nameless))
    return found


def _numbers(column: pa.ChunkedArray, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    taken = column.take(pa.array(rows)).cast(pa.float64(), safe=False)
    return np.asarray(taken.to_numpy(), dtype=np.float64)


def _texts(column: pa.ChunkedArray, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return np.array([*column.take(pa.array(rows)).to_pylist(), None], dtype=object)[:-1]


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _tell_columns(data: columns.Columns, report: Reporter) -> None:
    if data.labels is None:
        report.log(f"{len(data):,} rows without labels.")
    else:
        frauds = int(data.labels.sum())
        share = frauds / len(data.labels)
        report.log(f"Label {data.label_name}: {frauds:,} of {len(data):,} rows ({share:.2%}).")
    for name, why in data.dropped.items():
        report.log(f"Left out {name}: {why}.")


def _tell_split(parts: splitting.Split, data: columns.Columns, report: Reporter) -> None:
    by = f"time ({data.time_name})" if parts.method == "time" else parts.method
    sizes = ", ".join(
        f"{name} {len(rows):,} rows" + _frauds(data, rows)
        for name, rows in (
            ("train", parts.train), ("validation", parts.validation), ("test", parts.test)
        )
    )  # fmt: skip
    report.log(f"Split by {by}, gap {parts.gap_days:g} days ({parts.note}): {sizes}.")
    for note in parts.notes:
        report.log(f"{note[0].upper()}{note[1:]}.")


def _frauds(data: columns.Columns, rows: npt.NDArray[np.intp]) -> str:
    return "" if data.labels is None else f" / {int(np.sum(data.labels[rows])):,} fraud"
