"""The five mistakes of the handbook's leak table, planted one by one into a training.

Each file of payments has the handbook's columns over the first split's weeks; what differs is
the mistake. A mistake counts as caught when the training is refused or ends as "leak suspected".
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import quality, tables
from models_app.ml import algorithms as schemas
from training.ml import columns, pipeline, split
from training.ml.algorithms.contract import Round
from training.ml.errors import TrainingError
from training.ml.request import Evaluation, Request

KINDS = ("CUSTOMER_NB_TX", "CUSTOMER_AVG_AMOUNT", "TERMINAL_NB_TX", "TERMINAL_RISK")
DERIVED = [f"{kind}_{days}DAY" for days in (1, 7, 30) for kind in KINDS]
LABEL_DELAY = 7
# terminal windows that end now, with and without the row's own label
AT_ONCE = """
  count(*) OVER (t RANGE BETWEEN INTERVAL '{days} days' - INTERVAL '1 second' PRECEDING
                 AND {end}) AS TERMINAL_NB_TX_{days}DAY,
  coalesce(avg(TX_FRAUD) OVER (t RANGE BETWEEN INTERVAL '{days} days' - INTERVAL '1 second'
                 PRECEDING AND {end}), 0) AS TERMINAL_RISK_{days}DAY,"""
BEFORE, NOW = "INTERVAL '1 second' PRECEDING", "CURRENT ROW"


class _Quiet:
    def step(self, name: str, percent: int) -> None: ...
    def log(self, line: str) -> None: ...
    def round(self, done: Round, percent: int) -> None: ...
    def tick(self) -> None: ...


def planted(payments: Path, folder: Path) -> list[tables.Row]:
    """A row per mistake: 1 when it was caught; and the honest training, which must pass."""
    honest = folder / "honest.parquet"
    _write(payments, honest, quality.TERMINAL)
    soon, own = folder / "soon.parquet", folder / "own.parquet"
    _write(payments, soon, AT_ONCE.replace("{end}", BEFORE))
    _write(payments, own, AT_ONCE.replace("{end}", NOW))
    empty = folder / "empty.parquet"
    _without_history(honest, empty)
    at_random = split.SplitRequest(at_random=True)
    kept = Evaluation(entity="CUSTOMER_ID", keep_known=True)
    rows = [
        tables.row("honest training: raises a false alarm", _caught(honest), "", 0.0,
                   better="less")
    ]  # fmt: skip
    for name, caught in (
        ("known-compromised cards left in the test week", _caught(honest, evaluation=kept)),
        ("random instead of time split", _caught(honest, split=at_random)),
        ("labels usable at once", _caught(soon)),
        ("the row's own label inside the terminal window", _caught(own)),
        ("no history features reach the model",
         _caught(empty, choices=_choices(declared=frozenset(DERIVED)))),
    ):  # fmt: skip
        rows.append(tables.row(f"leak caught: {name}", caught, "", 1.0))
    return rows


def _caught(file: Path, **changes: Any) -> float:
    asked: dict[str, Any] = {
        "choices": _choices(),
        "evaluation": Evaluation(entity="CUSTOMER_ID"),
        "split": split.SplitRequest(
            test_from=datetime.fromisoformat(quality.GAP_END).replace(tzinfo=UTC).timestamp(),
            label_delay_days=LABEL_DELAY,
        ),
    } | changes
    request = Request(
        model="leaks",
        algorithm="xgboost",
        dataset_name=file.name,
        origin={"path": file.name},
        hyperparameters=schemas.defaults("xgboost"),
        **asked,
    )
    try:
        with file.open("rb") as opened:
            pipeline.run(request, opened, _Quiet())
    except TrainingError as error:
        print(f"{file.stem}: {error}")
        return 1.0
    return 0.0


def _choices(**changes: Any) -> columns.Choices:
    return columns.Choices(label="TX_FRAUD", time="TX_DATETIME", **changes)


def _write(payments: Path, target: Path, terminal: str) -> None:
    windows = "".join(
        quality.CUSTOMER.format(days=d, until=d + 7) + terminal.format(days=d, until=d + 7)
        for d in (1, 7, 30)
    )
    with duckdb.connect() as connection:
        connection.execute(quality.FEATURES.format(windows=windows, source=payments))
        connection.execute(
            f"""COPY (SELECT * FROM features WHERE TX_DATETIME >= TIMESTAMP '{quality.TRAIN}'
                AND TX_DATETIME < TIMESTAMP '{quality.TEST_END}')
                TO '{target}' (FORMAT parquet)"""
        )


def _without_history(source: Path, target: Path) -> None:
    """The derived columns with the values that an empty history gives."""
    nothing = ", ".join(f"0.0 AS {name}" for name in DERIVED)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE ({nothing}) FROM read_parquet('{source}'))"
            f" TO '{target}' (FORMAT parquet)"
        )
