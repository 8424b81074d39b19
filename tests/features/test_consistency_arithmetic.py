"""Served values against the same values computed again: numbers worked out by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ml.consistency import EXAMPLES, Agreement, Example, Tally, agree, agreement

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_equal_values_agree_in_everything() -> None:
    assert agreement([(1.0, 1.0), (0.0, -0.0), (None, None)]) == Agreement(3, 0, 0, 0, 0.0, 0.0)


def test_each_kind_of_difference_is_counted_apart() -> None:
    # |10-8| + |5-5| = 2 over (10+8) + (5+5) = 28
    pairs = [(10.0, 8.0), (5.0, 5.0), (None, 3.0), (4.0, None), (None, None)]
    assert agreement(pairs) == Agreement(
        compared=5, mismatch=1, missing=1, extra=1, smape=2 / 28, max_difference=2.0
    )


def test_smape_of_opposite_numbers_is_one() -> None:
    # |3-(-3)| + |-1-2| = 9 over (3+3) + (1+2) = 9
    found = agreement([(3.0, -3.0), (-1.0, 2.0)])
    assert (found.smape, found.max_difference, found.mismatch) == (1.0, 6.0, 2)


def test_smape_without_any_size_is_zero() -> None:
    assert agreement([]).smape == 0.0
    assert agreement([(0.0, 0.0)]).smape == 0.0
    assert agreement([(None, 1.0), ("a", "b")]).smape == 0.0


@pytest.mark.parametrize(
    ("served", "again", "same"),
    [
        (1e6, 1e6 + 9e-4, True),  # 9e-10 of it
        (1e6, 1e6 + 2e-3, False),  # 2e-9 of it
        (0.0, 9e-10, True),
        (0.0, 2e-9, False),
        (1e-12, -1e-12, True),  # below the floor
        (1, 1.0, True),
        (True, 1.0, True),  # a model takes a boolean as a number
        (True, False, False),
        ("fuel", "fuel", True),
        ("fuel", "Fuel", False),
        ("1", 1, False),
        ("", None, False),
        (float("nan"), None, True),
        ([[1.0, None], [2.0, 3.0]], [[1.0, None], [2.0, 3.0]], True),
        ([[1.0, None]], [[1.0, 0.0]], False),
        ([[1.0], [2.0]], [[1.0]], False),
        ([], None, False),
    ],
)
def test_what_counts_as_the_same_value(served: Any, again: Any, same: bool) -> None:
    assert agree(served, again) is same
    assert agree(again, served) is same


def test_differing_texts_are_a_mismatch_and_have_no_size() -> None:
    assert agreement([("a", "b"), ("a", "a")]) == Agreement(2, 1, 0, 0, 0.0, 0.0)


def test_numbers_near_the_largest_do_not_overflow() -> None:
    found = agreement([(1.7e308, -1.7e308), (1.7e308, 1.7e308)])
    assert found.smape == pytest.approx(0.5)
    assert math.isfinite(found.max_difference)


@given(st.lists(st.tuples(FINITE, FINITE)))
def test_smape_is_from_zero_to_one_and_does_not_care_who_is_who(
    pairs: list[tuple[float, float]],
) -> None:
    found = agreement(pairs)
    assert 0 <= found.smape <= 1 + 1e-12
    assert found == agreement([(b, a) for a, b in pairs])
    assert math.isfinite(found.max_difference)


def test_a_prediction_disagrees_once_however_many_of_its_features_do() -> None:
    tally = Tally()
    tally.add("p", {"a": 1.0, "b": 2.0}, {"a": 9.0, "b": 9.0})
    tally.add("p", {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0})
    assert (tally.compared, tally.disagreeing) == (2, 1)


def test_the_worst_feature_comes_first() -> None:
    tally = Tally()
    tally.add("p", {"good": 1.0, "bad": 1.0, "worse": 1.0}, {"good": 1.0, "bad": 1.1, "worse": 5.0})
    tally.add("p", {"good": 1.0, "bad": 1.0, "rare": None}, {"good": 1.0, "bad": 1.0, "rare": 2.0})
    found = dict(tally.agreements())
    # one of one is more than one of two; among the former the larger smape: 4 / 6 against none
    assert list(found) == ["worse", "rare", "bad", "good"]
    assert found["rare"].missing == 1
    assert found["worse"].smape == pytest.approx(4 / 6)


def test_what_was_not_computed_again_is_extra() -> None:
    tally = Tally()
    tally.add("p", {"a": 1.0}, {})
    assert dict(tally.agreements())["a"].extra == 1


def test_the_first_disagreements_are_kept_as_examples() -> None:
    tally = Tally()
    for i in range(5):
        tally.add(f"p{i}", {"a": 1.0, "b": 1.0}, {"a": 1.0, "b": float(i)})
    assert tally.examples("a") == []
    assert tally.examples("b")[0] == Example("p0", 1.0, 0.0)
    assert [found.who for found in tally.examples("b")] == ["p0", "p2", "p3"]
    assert EXAMPLES == 3
