"""Train, validation and test rows: by time with a gap, else at random in fair shares."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.ml import split
from training.ml.errors import TrainingError
from training.ml.split import DAY, SplitRequest

ROWS = 1000


def labels(rows: int = ROWS) -> np.ndarray:
    return (np.arange(rows) % 5 == 0).astype(np.int8)


def days(span: float, rows: int = ROWS) -> np.ndarray:
    """Times in a random order over `span` days."""
    return np.random.default_rng(0).permutation(np.linspace(0, span * DAY, rows))


@given(
    st.integers(0, 2**31), st.floats(1, 300), st.floats(0.05, 0.4), st.floats(0.05, 0.4),
    st.none() | st.floats(0, 20),
)  # fmt: skip
@settings(deadline=None)
def test_every_test_row_is_later_than_every_training_row_and_the_gap(
    seed: int, span: float, validation: float, test: float, delay: float | None
) -> None:
    seconds = np.random.default_rng(seed).uniform(0, span * DAY, ROWS).round()
    request = SplitRequest(validation=validation, test=test, label_delay_days=delay)
    try:
        parts = split.make(labels(), seconds, request)
    except TrainingError:
        assume(False)
    assert seconds[parts.train].max() <= seconds[parts.validation].min()
    assert seconds[parts.validation].max() < seconds[parts.test].min() - parts.gap_days * DAY + 1e-3
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert len(np.unique(rows)) == len(rows)


def test_the_newest_share_is_the_test() -> None:
    seconds = days(100)
    parts = split.make(labels(), seconds, SplitRequest(validation=0.2, test=0.1))
    assert len(parts.test) == 100
    assert seconds[parts.test].min() == np.sort(seconds)[900]
    assert (parts.method, parts.gap_days) == ("time", 7)


def test_the_rows_of_the_label_delay_are_in_no_part() -> None:
    parts = split.make(labels(), days(100), SplitRequest())
    assert len(parts.train) + len(parts.validation) == pytest.approx(830, abs=2)


def test_a_short_file_gives_no_delay_away_and_says_so() -> None:
    parts = split.make(labels(), days(20), SplitRequest())
    assert (parts.gap_days, parts.note) == (0, "no label delay: the file spans 20.0 days only")
    assert len(parts.train) + len(parts.validation) + len(parts.test) == ROWS


def test_a_requested_delay_is_kept_whatever_the_span() -> None:
    parts = split.make(labels(), days(20), SplitRequest(label_delay_days=3))
    assert (parts.gap_days, parts.note) == (3, "as requested")


def test_rows_of_one_instant_are_not_parted() -> None:
    seconds = np.repeat(np.arange(20) * DAY, 50)
    parts = split.make(labels(), seconds, SplitRequest(test=0.12, label_delay_days=0))
    assert not set(seconds[parts.test]) & set(seconds[parts.train])
    assert not set(seconds[parts.test]) & set(seconds[parts.validation])


def test_a_file_of_one_instant_can_not_be_split_by_time() -> None:
    with pytest.raises(TrainingError, match="both classes"):
        split.make(labels(), np.zeros(ROWS), SplitRequest())


def test_without_a_time_each_part_has_the_same_share_of_fraud() -> None:
    parts = split.make(labels(), None, SplitRequest(validation=0.2, test=0.1))
    shares = [labels()[rows].mean() for rows in (parts.train, parts.validation, parts.test)]
    assert shares == [0.2, 0.2, 0.2]
    assert [len(parts.test), len(parts.validation), len(parts.train)] == [100, 180, 720]
    assert parts.method == "random, stratified"


def test_the_seed_decides_the_random_rows() -> None:
    def test_rows(seed: int) -> list[int]:
        return split.make(labels(), None, SplitRequest(seed=seed)).test.tolist()

    assert test_rows(1) == test_rows(1) != test_rows(2)


def test_too_few_frauds_to_share_are_refused() -> None:
    few = np.zeros(100, np.int8)
    few[0] = 1
    with pytest.raises(TrainingError, match="test_split: too few rows of one class"):
        split.make(few, None, SplitRequest())
    few[1] = 1
    with pytest.raises(TrainingError, match="would not hold both classes"):
        split.make(few, None, SplitRequest())
