"""What is asked about, and the columns that expressions read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.ml.schema import Field, Schema
from features.ml.terms import MISSING_TIME
from features.ml.windows import FOREVER, Column, Ints


@dataclass(frozen=True)
class Bounds:
    """A stretch of event time [since, until), in microseconds."""

    since: int
    until: int


@dataclass(frozen=True)
class Asked:
    """What is asked about, one position per ask. `label` is the event's own, NaN for none;
    `fields` are columns as expressions read them; `keys` are the entities' keys as text."""

    ids: pa.Array
    time: Ints
    known: Ints
    seq: Ints
    label: npt.NDArray[np.float64]
    fields: Mapping[str, Column]
    keys: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, schema: Schema, columns: Mapping[str, Sequence[Any]]) -> "Asked":
        """From lists: at, known, event_id, "field <name>" and "entity <name>"."""
        count = len(columns["at"])
        fields = {f.name: listed(f, columns[f"field {f.name}"]) for f in schema.fields}
        return cls(
            ids=pa.array(columns["event_id"], pa.string()),
            time=np.array(columns["at"], dtype=np.int64),
            known=np.array(columns["known"], dtype=np.int64),
            seq=np.full(count, FOREVER // 4, dtype=np.int64),
            label=np.full(count, np.nan),
            fields={name: values for name, values in fields.items() if name != schema.label},
            keys={e: pa.array(columns[f"entity {e}"], pa.string()) for e in schema.entities},
        )


class Spells:
    """What statements said of events, and when (see `label_log.intervals`)."""

    def __init__(self, table: pa.Table | None) -> None:
        self._of: dict[str, list[tuple[int, int, bool]]] = {}
        if table is not None:
            ends = pc.fill_null(table["end"], FOREVER)
            for event, start, end, positive in zip(
                table["event_id"].to_pylist(), table["start"].to_pylist(), ends.to_pylist(),
                table["is_positive"].to_pylist(), strict=True,
            ):  # fmt: skip
                self._of.setdefault(event, []).append((start, end, positive))
        self._ids = pa.array(self._of, pa.string())

    def __bool__(self) -> bool:
        return bool(self._of)

    def places(self, ids: pa.Array) -> Iterator[tuple[int, list[tuple[int, int, bool]]]]:
        """Positions of the ids about which something was ever said, and what."""
        if not self._of:
            return
        for place in np.flatnonzero(pc.is_in(ids, self._ids).to_numpy(zero_copy_only=False)):
            yield int(place), self._of[ids[int(place)].as_py()]

    def at(self, ids: pa.Array, moment: int) -> Iterator[tuple[int, bool]]:
        """Positions about which a statement stood at `moment`, and its word."""
        for place, said in self.places(ids):
            for start, end, positive in said:
                if start <= moment < end:
                    yield place, positive


def columns_of(schema: Schema, table: pa.Table, names: Sequence[str]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in names:
        kind = schema.by_name[name].kind
        if kind == "category":
            found[name] = table[name].to_numpy()
        elif kind == "time":
            found[name] = ints(pc.fill_null(table[name], MISSING_TIME))
        else:
            found[name] = floats(table[name])
    return found


def listed(spec: Field, values: Sequence[Any]) -> Column:
    if spec.kind == "category":
        return np.array([*values, None], dtype=object)[:-1]
    if spec.kind == "time":
        return np.array([MISSING_TIME if v is None else v for v in values], dtype=np.int64)
    return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)


def ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy().astype(np.int64, copy=False)
    return found


def floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return found


def mask(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = column.to_numpy().astype(bool)
    return found
