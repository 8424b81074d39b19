"""Which columns a model is trained on, and which are left out and said so."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.training import data
from training.ml import columns
from training.ml.errors import TrainingError
from training.models import TrainingJob

ROWS = 300
rng = np.random.default_rng(5)


def assign(**given: Any) -> columns.Columns:
    """The columns of payments with some of `given` beside; a `Choices` is passed on."""
    choices = given.pop("choices", columns.Choices())
    return columns.assign(data.table(ROWS, **given), choices)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("transaction_id", rng.integers(0, 9, ROWS), "an identifier by its name"),
        ("uuid", rng.choice(["a", "b"], ROWS), "an identifier by its name"),
        ("Unnamed: 0", rng.integers(0, 9, ROWS), "an identifier by its name"),
        ("index", rng.integers(0, 9, ROWS), "an identifier by its name"),
        ("n", np.arange(ROWS), "counts the rows"),
        ("row", np.arange(ROWS) + 1000, "counts the rows"),
        ("currency", ["EUR"] * ROWS, "has one value only"),
        ("holder", [f"person {i}" for i in range(ROWS)], "most of its values are unique"),
        ("booked", np.arange(ROWS).astype("M8[s]"), "a second time column"),
    ],
)
def test_a_column_that_says_nothing_about_tomorrow_is_left_out(
    name: str, values: Any, why: str
) -> None:
    found = assign(**{name: values})
    assert why in found.dropped[name]
    assert set(found.kinds) == {"amount", "shop"}


def test_what_is_left_out_is_said_in_log_lineage_and_card(
    train: Callable[..., TrainingJob],
) -> None:
    job = train(data.put("a.csv", data.csv(payment_id=np.arange(ROWS))))
    assert job.version is not None
    assert "Left out payment_id: an identifier by its name." in job.log
    assert job.version.lineage["dataset"]["dropped"] == {"payment_id": "an identifier by its name"}
    assert "Not used: `payment_id`" in (job.version.bundle_folder / "card.md").read_text()


def test_a_column_can_be_kept_or_excluded_by_request() -> None:
    choices = columns.Choices(keep=["device_id"], exclude=["shop"])
    found = assign(device_id=rng.integers(0, 9, ROWS), choices=choices)
    assert set(found.kinds) == {"amount", "device_id"}
    assert found.dropped == {"shop": "excluded by request"}


def test_an_excluded_column_may_be_as_bad_as_it_likes() -> None:
    found = assign(ghost=[None] * ROWS, choices=columns.Choices(exclude=["ghost"]))
    assert found.dropped == {"ghost": "excluded by request"}


@pytest.mark.parametrize(
    "name", ["paid", "valid", "grid", "identity", "keyboard", "amount_paid", "indexed", "monkey"]
)
def test_an_honest_name_is_not_taken_for_an_identifier(name: str) -> None:
    assert name in assign(**{name: rng.random(ROWS)}).kinds


@pytest.mark.parametrize("name", ["Class", "IS_FRAUD", "label", "TX_FRAUD", "FLAG", "target"])
def test_the_label_is_found_by_its_usual_names(name: str) -> None:
    labels = data.table(ROWS)["is_fraud"]
    assert assign(is_fraud=None, **{name: labels}).label_name == name


def test_a_named_label_wins_over_a_found_one() -> None:
    chargeback = rng.integers(0, 2, ROWS)
    found = assign(chargeback=chargeback, choices=columns.Choices(label="chargeback"))
    assert found.labels.tolist() == chargeback.tolist()
    assert "is_fraud" in found.kinds


def test_of_several_times_the_best_name_is_taken() -> None:
    later = np.arange(ROWS).astype("M8[s]")
    assert assign(a_date=later, created_at=later).time_name == "timestamp"
    assert assign(timestamp=None, a_date=later, created_at=later).time_name == "created_at"


def test_seconds_in_a_named_number_column_are_a_time() -> None:
    found = assign(timestamp=None, step=np.arange(ROWS) * 10, choices=columns.Choices(time="step"))
    assert found.seconds is not None
    assert found.seconds[:3].tolist() == [0, 10, 20]


def test_a_few_words_among_numbers_are_a_mistake_and_many_a_category() -> None:
    few = [*map(str, range(ROWS - 2)), "n.a.", "n.a."]
    with pytest.raises(TrainingError, match="score: is a number column with text in it: 'n.a.'"):
        assign(score=few)
    many = ["12", "none"] * (ROWS // 2)
    assert assign(score=many).kinds["score"] == "category"
