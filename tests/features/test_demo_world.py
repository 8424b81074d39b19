"""The demo world: simulated payments that a new user can train on."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from django.conf import settings
from django.core.management import call_command

from features.ml import demo_world
from features.ml.demo_world import World
from features.services import demo

SMALL = World(cards=100, terminals=200, days=30)


@pytest.fixture(scope="module")
def world() -> pa.Table:
    """As the first run makes it."""
    return demo_world.generate(World())


def levels(world: pa.Table, column: str) -> set[str]:
    return set(world[column].unique().to_pylist())


def test_a_seed_gives_the_same_world_each_time() -> None:
    assert demo_world.generate(SMALL).equals(demo_world.generate(SMALL))


def test_another_seed_gives_another_world() -> None:
    other = World(cards=100, terminals=200, days=30, seed=8)
    assert not demo_world.generate(SMALL).equals(demo_world.generate(other))


@pytest.mark.parametrize("seed", range(5))
def test_fraud_is_rare_but_there(seed: int) -> None:
    labels = demo_world.generate(World(seed=seed))["is_fraud"].to_numpy()
    assert 0.005 < labels.mean() < 0.025


def test_the_first_run_has_enough_payments_to_train_on(world: pa.Table) -> None:
    assert 60_000 < world.num_rows < 120_000
    assert world.column_names == [
        "transaction_id", "timestamp", "customer_id", "terminal_id", "amount",
        "merchant_category", "time_of_day", "location", "is_fraud",
    ]  # fmt: skip
    assert all(world[name].null_count == 0 for name in world.column_names)


def test_the_payment_that_the_readme_predicts_is_one_of_this_world(world: pa.Table) -> None:
    assert "grocery" in levels(world, "merchant_category")
    assert "evening" in levels(world, "time_of_day")
    assert "domestic" in levels(world, "location")
    amounts = world["amount"].to_numpy()
    assert amounts.min() < 150.50 < amounts.max()


def test_payments_come_in_the_order_of_time_with_a_row_number(world: pa.Table) -> None:
    times = world["timestamp"].to_numpy()
    assert (np.diff(times) >= np.timedelta64(0, "s")).all()
    assert world["transaction_id"].to_pylist() == list(range(world.num_rows))
    days = (times.max() - times.min()) / np.timedelta64(1, "D")
    assert 89 < days < 90


def test_the_time_of_day_is_that_of_the_timestamp(world: pa.Table) -> None:
    hours = world["timestamp"].to_numpy().astype("M8[h]").astype(int) % 24
    named = np.array(demo_world.TIMES_OF_DAY)[hours // 6]
    assert (named == np.array(world["time_of_day"].to_pylist())).all()


def test_each_amount_over_the_limit_is_fraud(world: pa.Table) -> None:
    amounts, labels = world["amount"].to_numpy(), world["is_fraud"].to_numpy()
    assert labels[amounts > demo_world.HIGH_AMOUNT + 0.01].all()
    assert (amounts >= 0).all()


def test_fraud_is_not_told_by_the_amount_alone(world: pa.Table) -> None:
    amounts, labels = world["amount"].to_numpy(), world["is_fraud"].to_numpy()
    assert (amounts[labels == 1] < demo_world.HIGH_AMOUNT).mean() > 0.5


def test_a_terminal_has_one_category(world: pa.Table) -> None:
    pairs = world.group_by(["terminal_id", "merchant_category"]).aggregate([])
    assert pairs.num_rows == len(levels(world, "terminal_id"))


def make(**options: Any) -> str:
    out = io.StringIO()
    call_command("generate_demo_world", cards=100, terminals=200, days=10, stdout=out, **options)
    return out.getvalue()


@pytest.mark.usefixtures("own_folders")
def test_the_command_writes_the_file_and_says_where() -> None:
    told = make(name="world.csv")
    target = Path(settings.DATA_ROOT) / "world.csv"
    table = pa_csv.read_csv(target)
    assert told == f"Wrote {table.num_rows:,} payments to {target}.\n"
    assert [path.name for path in target.parent.iterdir()] == ["world.csv"]


@pytest.mark.usefixtures("own_folders")
def test_a_write_that_fails_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch) -> None:
    make(name="world.csv")
    target = Path(settings.DATA_ROOT) / "world.csv"
    before = target.read_bytes()

    def full(table: pa.Table, path: Path) -> None:
        path.write_text("half a f")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo.pa_csv, "write_csv", full)
    with pytest.raises(OSError, match="No space"):
        make(name="world.csv", seed=9)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["world.csv"]
