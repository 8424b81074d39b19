"""What the measured parts of `benchmarks.features` share: definitions, the data's rows, the log."""

import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DAYS = (1, 7, 30)
SCHEMA = {
    "event_id": "TRANSACTION_ID",
    "event_time": "TX_DATETIME",
    "label": "TX_FRAUD",
    "entities": {"customer": "CUSTOMER_ID", "terminal": "TERMINAL_ID"},
    "fields": [
        {"name": "TRANSACTION_ID", "type": "integer", "required": True},
        {"name": "TX_DATETIME", "type": "time", "required": True},
        {"name": "CUSTOMER_ID", "type": "integer", "required": True},
        {"name": "TERMINAL_ID", "type": "integer", "required": True},
        {"name": "TX_AMOUNT", "type": "number", "required": True},
        {"name": "TX_FRAUD", "type": "integer"},
    ],
}
VIEWS: dict[str, tuple[str | None, list[dict[str, Any]]]] = {
    "customer_activity": (
        "customer",
        [
            *({"name": f"customer_count_{d}d", "aggregate": "count", "window": f"{d}d"}
              for d in DAYS),
            *({"name": f"customer_mean_{d}d", "aggregate": "mean", "of": "TX_AMOUNT",
               "window": f"{d}d"} for d in DAYS),
        ],
    ),
    "terminal_risk": (
        "terminal",
        [
            *({"name": f"terminal_count_{d}d", "aggregate": "count", "window": f"{d}d",
               "lag": "7d"} for d in DAYS),
            *({"name": f"terminal_risk_{d}d", "aggregate": "label_rate", "window": f"{d}d",
               "lag": "7d", "default": 0} for d in DAYS),
        ],
    ),
    "moment": (
        None,
        [
            {"name": "weekend", "expression": "is_weekend(event_time)"},
            {"name": "night", "expression": "is_night(event_time)"},
        ],
    ),
}  # fmt: skip
TOLERANCE = 1e-9


def define(name: str, *, live: bool = False) -> list[Any]:
    from features.models import FeatureViewVersion
    from features.services import streams, views

    stream = streams.create_stream(actor=actor(), name=name, definition=SCHEMA)
    versions = []
    for view, (entity, features) in VIEWS.items():
        version = views.define_view(
            actor=actor(),
            name=f"{name}_{view}",
            stream=stream,
            entity=entity_named(entity),
            definition={"features": features},
        )
        if live:
            version = views.promote(version=version, actor=actor(), reason="benchmark")
        versions.append(
            FeatureViewVersion.objects.select_related("view__stream").get(pk=version.pk)
        )
    return versions


def entity_named(name: str | None) -> Any:
    from features.models import Entity
    from features.services import views

    if name is None:
        return None
    found = Entity.objects.filter(name=name).first()
    return found or views.create_entity(actor=actor(), name=name)


def actor() -> Any:
    from aegisml.base import audit

    return audit.system_user()


def build(versions: Sequence[Any]) -> None:
    """Mark each version's state complete: there is nothing before the replay."""
    from features.jobs import materializing, runs
    from features.models import EventSegment

    stream = versions[0].view.stream
    kept = list(EventSegment.objects.filter(stream=stream))
    EventSegment.objects.filter(stream=stream).delete()
    for version in versions:
        if version.view.entity is not None:
            materializing.run(str(runs.request(version, reason="benchmark").pk))
    EventSegment.objects.bulk_create(kept)


def names() -> tuple[str, ...]:
    return tuple(row["name"] for row in SCHEMA["fields"])


def transactions(data: Path) -> pa.Table:
    return pq.read_table(data / "transactions.parquet", columns=list(names()))


def load_log(stream: Any, rows: pa.Table) -> None:
    """Write the file's rows into the log as history, without the checks of the ingest path."""
    from features.log import files
    from features.models import EventSegment

    at = rows["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    wanted = files.arrow_schema(stream.schema)
    columns = {
        "_event_id": rows["TRANSACTION_ID"].cast(pa.string()),
        "_event_time": at,
        "_known_time": at,
        "_seq": pc.add(rows["TRANSACTION_ID"].cast(pa.int64()), 1),
        **{name: rows[name] for name in names()},
        "TX_DATETIME": at,
    }
    table = pa.table({one.name: columns[one.name].cast(one.type) for one in wanted})
    EventSegment.objects.bulk_create(files.write_days(stream, table))


def logged_events(table: pa.Table) -> Iterator[Any]:
    """The file's rows as the log gives them, in their order."""
    from features.log import Logged

    at = table["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.int64())
    for i, row in enumerate(table.append_column("at", at).to_pylist()):
        payload = {name: row[name] for name in names()} | {"TX_DATETIME": row["at"]}
        yield Logged(
            seq=i + 1,
            event_id=str(row["TRANSACTION_ID"]),
            event_time=row["at"],
            known_time=row["at"],
            payload=payload,
        )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
