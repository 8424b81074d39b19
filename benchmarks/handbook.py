"""Quality by the Fraud Detection Handbook's protocol: `python -m benchmarks.handbook --data DIR`.

DIR holds the handbook's `transactions.parquet`. Everything goes the product's way: the payments
are ingested as events, features are views of them, a training job builds its set point in time
and writes a bundle, and the bundle scores the test week row by row as serving does. The metrics
are computed here once more, by the protocol's words: seven days to train, seven until labels are
known, seven to test; cards whose fraud is known leave a test day; means over four test folds.
Starts engines of its own; needs nothing running.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import engines, tables

TEST_FOLDS = ("2018-08-15", "2018-08-08", "2018-08-01", "2018-07-25")  # first day of training
VALIDATION_FOLDS = ("2018-07-11", "2018-07-04", "2018-06-27", "2018-06-20")
WEEK = timedelta(days=7)
HISTORY = timedelta(days=38)  # the longest window and its lag
CARDS = 100
BATCH = 10_000

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
DAYS = (1, 7, 30)
VIEWS: dict[str, tuple[str | None, list[dict[str, Any]]]] = {
    "payment": (
        None,
        [
            {"name": "amount", "expression": "TX_AMOUNT"},
            {"name": "weekend", "expression": "is_weekend(event_time)"},
            {"name": "night", "expression": "is_night(event_time)"},
        ],
    ),
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
    "customer_sequence": (
        "customer",
        [
            {"name": "last_payments", "length": 5, "window": "30d",
             "sequence": ["TX_AMOUNT", "is_weekend(event_time)", "is_night(event_time)"]},
        ],
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One line of the table: an algorithm with its parameters, on some folds."""

    name: str
    algorithm: str
    goals: Mapping[str, float]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[str, ...] = TEST_FOLDS
    train_days: int = 7
    sequences: bool = False


MEASURES = (
    Measure("xgboost, default parameters", "xgboost", {"AP": 0.685}),
    Measure(
        "xgboost", "xgboost", {"AP": 0.690, "AUROC": 0.868, "CP@100": 0.300}
    ),
    Measure("random forest", "random_forest", {"AP": 0.675}),
    Measure("neural network", "neural_network", {"AP": 0.670}),
    Measure("lstm", "lstm", {"AP": 0.665}, sequences=True),
    Measure("logistic regression", "logistic_regression", {"AP": 0.620}),
    Measure(
        "isolation forest, first validation fold", "isolation_forest", {"AP": 0.164},
        folds=VALIDATION_FOLDS[:1],
    ),
    Measure("ensemble", "ensemble", {"AP": 0.700}, sequences=True),
    Measure("xgboost, 28 days of history", "xgboost", {"AP": 0.715}, train_days=28),
)  # fmt: skip
MEMBERS = ("xgboost", "random forest", "neural network", "lstm")


@dataclass(frozen=True)
class Week:
    """A fold's test rows by the protocol, and when they are."""

    since: datetime
    until: datetime
    ids: frozenset[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--only", action="append", help="a line of the table; may be repeated")
    options = parser.parse_args()
    wanted = [m for m in MEASURES if not options.only or m.name in options.only]
    with engines.running() as var:
        rows = run(options.data, var, wanted)
    tables.show(rows, options.json)


def run(data: Path, var: Path, wanted: list[Measure]) -> list[tables.Row]:
    payments = pq.read_table(data / "transactions.parquet", columns=_columns())
    oldest = min(_day(fold) for measure in wanted for fold in measure.folds)
    longest = max(measure.train_days for measure in wanted)
    since = oldest + WEEK - timedelta(days=longest) - HISTORY
    seconds = ingest(payments, var, since)
    rows = [tables.row("ingest of the payments", seconds, "s")]
    sets = define()
    best: dict[str, float] = {}
    versions: dict[tuple[str, str], str] = {}
    for measure in wanted:
        _say(measure.name)
        started = time.perf_counter()
        found = [
            _fold(measure, fold, payments, sets[measure.sequences], versions)
            for fold in measure.folds
        ]
        rows += _rows(measure, found, time.perf_counter() - started)
        best[measure.name] = float(np.mean([f["AP"] for f in found]))
    if "ensemble" in best and len(best) > 1:
        others = max(best.get(name, 0.0) for name in MEMBERS)
        gain = best["ensemble"] - others
        rows.append(tables.row("ensemble: AP above the best of its members", gain, "", 0.0))
    return rows


def ingest(payments: pa.Table, var: Path, since: datetime) -> float:
    """The payments from `since` on, by the product's command; gives the seconds."""
    from django.core.management import call_command

    from features.services import streams

    streams.create_stream(actor=_actor(), name="handbook", definition=SCHEMA, label_delay_days=7)
    times = payments["TX_DATETIME"].cast(pa.timestamp("us"))
    kept = pc.greater_equal(times, pa.scalar(since.replace(tzinfo=None), pa.timestamp("us")))
    file = var / "payments.parquet"
    utc = payments.filter(kept)
    stamps = utc["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    place = utc.column_names.index("TX_DATETIME")
    pq.write_table(utc.set_column(place, "TX_DATETIME", stamps), file)
    started = time.perf_counter()
    call_command("ingest_events", "handbook", str(file), "--history")
    return time.perf_counter() - started


def define() -> dict[bool, Any]:
    """The feature set with the handbook's 15 columns, and the one with a sequence besides."""
    from features.models import Entity, Stream
    from features.services import sets, views

    stream = Stream.objects.get(name="handbook")
    members = {}
    for name, (entity, definition) in VIEWS.items():
        owner = None
        if entity is not None:
            known = Entity.objects.filter(name=entity).first()
            owner = known or views.create_entity(actor=_actor(), name=entity)
        version = views.define_view(
            actor=_actor(), name=name, stream=stream, entity=owner,
            definition={"features": definition},
        )  # fmt: skip
        members[name] = {"view": str(version)}
    plain = [members[name] for name in VIEWS if name != "customer_sequence"]
    create = sets.create_set
    return {
        False: create(actor=_actor(), name="handbook_15", members=plain),
        True: create(actor=_actor(), name="handbook_sequences", members=list(members.values())),
    }


def _fold(
    measure: Measure,
    fold: str,
    payments: pa.Table,
    feature_set: Any,
    versions: dict[tuple[str, str], str],
) -> dict[str, float]:
    week = _week(payments, _day(fold))
    parameters = {
        **measure.parameters,
        "test_from": week.since.isoformat(),
        "refit": measure.algorithm != "ensemble",
    }
    if measure.algorithm == "ensemble":
        parameters["members"] = [versions[name, fold] for name in MEMBERS]
    since = _day(fold) + WEEK - timedelta(days=measure.train_days)
    started = time.perf_counter()
    version = train(f"{measure.name} {fold}", measure.algorithm, feature_set, parameters,
                    (since, week.until))  # fmt: skip
    versions[measure.name, fold] = f"{version.model.name}@{version.number}"
    seconds = time.perf_counter() - started
    found = judge(version, feature_set, week, payments) | {"seconds": seconds}
    _say(f"  {fold}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return found


def train(
    name: str,
    algorithm: str,
    feature_set: Any,
    parameters: Mapping[str, Any],
    stretch: tuple[datetime, datetime],
) -> Any:
    """A version trained by a job, in this process."""
    from models_app.services import registry
    from training import jobs as work
    from training.models import TrainingJob
    from training.services import jobs

    text = name.lower().replace(" ", "_").replace(",", "")
    model = registry.create_model(actor=_actor(), name=text, algorithm=algorithm)
    source = jobs.Source(feature_set=feature_set, since=stretch[0], until=stretch[1])
    job = jobs.request_run(
        model=model, actor=_actor(), source=source, parameters=parameters,
        terms=jobs.Terms(announce=False),
    )  # fmt: skip
    work.train(str(job.pk))
    done = TrainingJob.objects.select_related("version__model").get(pk=job.pk)
    if done.version is None:
        raise RuntimeError(f"{name}: {done.status}: {done.error}")
    return done.version


def judge(version: Any, feature_set: Any, week: Week, payments: pa.Table) -> dict[str, float]:
    """The protocol's metrics of the test week, scored by the version's bundle as serving does."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    rows = _test_set(feature_set, week)
    scores = np.array(list(_scores(version, rows)))
    labels = rows["label"].to_numpy()
    days = rows["event_time"].cast(pa.timestamp("us")).cast(pa.date32()).to_numpy()
    return {
        "AP": float(average_precision_score(labels, scores)),
        "AUROC": float(roc_auc_score(labels, scores)),
        "CP@100": card_precision(days, rows["event.CUSTOMER_ID"].to_numpy(), labels, scores),
    }


def card_precision(days: Any, cards: Any, labels: Any, scores: Any) -> float:
    """CP@100, day by day, in the words of the handbook."""
    caught: set[float] = set()
    found = []
    for day in np.unique(days):
        best: dict[float, tuple[float, int]] = {}
        today = days == day
        for card, label, score in zip(cards[today], labels[today], scores[today], strict=True):
            if card not in caught:
                top, bad = best.get(card, (0.0, 0))
                best[card] = (max(top, score), max(bad, int(label)))
        first = sorted(best.items(), key=lambda item: -item[1][0])[:CARDS]
        hits = {card for card, (_, bad) in first if bad}
        found.append(len(hits) / CARDS)
        caught |= hits
    return float(np.mean(found))


def _test_set(feature_set: Any, week: Week) -> pa.Table:
    import tempfile

    from features import offline

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "week.parquet")
        offline.training_set(
            feature_set, since=week.since, until=week.until, target=target, beside=["CUSTOMER_ID"]
        )
        rows = pq.read_table(target)
    ids = rows["event_id"].cast(pa.int64()).to_numpy()
    return rows.filter(pa.array([i in week.ids for i in ids.tolist()]))


def _scores(version: Any, rows: pa.Table) -> Iterator[float]:
    from inference.loaded import load

    loaded = load(version)
    names = [feature.name for feature in loaded.signature.features]
    for batch in rows.select(names).to_batches(max_chunksize=BATCH):
        yield from loaded.score(loaded.signature.encode_rows(batch.to_pylist()))


def _week(payments: pa.Table, train: datetime) -> Week:
    """A card with a fraud in the training week, or up to eight days before a test day, isn't
    asked about on that day."""
    since, until = train + 2 * WEEK, train + 3 * WEEK
    times = payments["TX_DATETIME"].cast(pa.timestamp("us")).to_numpy()
    days = times.astype("datetime64[D]")
    inside = (days >= np.datetime64(train.date())) & (days < np.datetime64(until.date()))
    rows = payments.filter(pa.array(inside))
    first: dict[int, np.datetime64] = {}
    cards, frauds = rows["CUSTOMER_ID"].to_pylist(), rows["TX_FRAUD"].to_pylist()
    when = days[inside]
    for card, fraud, day in zip(cards, frauds, when, strict=True):
        if fraud and (card not in first or day < first[card]):
            first[card] = day
    start, known_for = np.datetime64(since.date()), np.timedelta64(8, "D")
    ids = frozenset(
        number
        for number, card, day in zip(rows["TRANSACTION_ID"].to_pylist(), cards, when, strict=True)
        if day >= start and not (card in first and first[card] <= day - known_for)
    )
    return Week(since, until, ids)


def _rows(measure: Measure, found: list[dict[str, float]], seconds: float) -> list[tables.Row]:
    rows = []
    for metric in ("AP", "AUROC", "CP@100"):
        values = [fold[metric] for fold in found]
        goal = measure.goals.get(metric)
        name = f"{measure.name}: {metric}, mean of {len(found)} fold{'s' * (len(found) > 1)}"
        rows.append(tables.row(name, float(np.mean(values)), "", goal))
        if len(values) > 1:
            rows.append(tables.row(f"{measure.name}: {metric}, sd", float(np.std(values))))
    rows.append(tables.row(f"{measure.name}: seconds in all", seconds, "s"))
    return rows


def _columns() -> list[str]:
    return [field["name"] for field in SCHEMA["fields"]]  # type: ignore[index, misc]


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)


def _actor() -> Any:
    from aegisml.base import audit

    return audit.system_user()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
