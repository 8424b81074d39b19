"""The reference profile: counts that add up, with bins for NULL and for what wasn't seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models_app.ml import profile
from models_app.ml.signature import Feature, Signature

columns = arrays.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
)


@given(columns)
def test_the_counts_of_a_number_add_up_to_its_rows(values: np.ndarray) -> None:
    bins = profile.bin_numbers(values, profile.decile_edges(values))
    assert sum(bins.counts) == len(values)
    assert len(bins.counts) == len(bins.edges) + 2
    assert bins.counts[-1] == np.isnan(values).sum()


@given(columns, columns)
def test_windows_over_the_same_edges_can_be_added(first: np.ndarray, second: np.ndarray) -> None:
    edges = profile.decile_edges(first)
    both = profile.bin_numbers(np.concatenate([first, second]), edges).counts
    parts = (profile.bin_numbers(values, edges).counts for values in (first, second))
    assert [sum(pair) for pair in zip(*parts, strict=True)] == list(both)


@given(st.lists(st.none() | st.sampled_from("abcd"), max_size=40))
def test_the_counts_of_a_category_add_up_to_its_rows(values: list[str | None]) -> None:
    bins = profile.bin_levels(np.array(values, dtype=object), ("a", "b"))
    assert bins.levels == ("a", "b", profile.OTHER, profile.NULL)
    assert list(bins.counts) == [
        values.count("a"), values.count("b"), values.count("c") + values.count("d"),
        values.count(None),
    ]  # fmt: skip


def test_a_bin_holds_its_lower_edge_and_not_its_upper() -> None:
    values = np.array([-1e9, 0.999, 1.0, 1.999, 2.0, 1e9, np.nan])
    assert profile.bin_numbers(values, (1.0, 2.0)).counts == (2, 2, 2, 1)


def test_ten_equal_parts_for_numbers_that_all_differ() -> None:
    values = np.arange(1000, dtype=np.float64)
    counts = profile.bin_numbers(values, profile.decile_edges(values)).counts
    assert counts == (100,) * 10 + (0,)


@pytest.mark.parametrize("levels", [[0.0, 1.0], [0.0, 0.0, 0.0, 7.0], [3.0, 4.0, 5.0]])
def test_few_distinct_numbers_get_a_bin_each(levels: list[float]) -> None:
    values = np.array(levels * 50)
    counts = profile.bin_numbers(values, profile.decile_edges(values)).counts[:-1]
    assert sorted(c for c in counts if c) == sorted(np.unique(values, return_counts=True)[1])


@pytest.mark.parametrize("values", [[np.nan] * 5, [4.0] * 5, []])
def test_a_column_that_says_nothing_has_a_profile_too(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    assert sum(profile.bin_numbers(array, profile.decile_edges(array)).counts) == len(values)


def test_a_profile_has_every_feature_and_the_score() -> None:
    signature = Signature([Feature("amount", "numeric"), Feature("place", "category", ("here",))])
    found = profile.make(
        signature,
        {"amount": np.array([1.0, np.nan, 3.0]), "place": np.array(["here", None, "x"], object)},
        np.array([0.1, 0.2, 0.9]),
    )
    assert found["rows"] == 3
    assert profile.Bins.from_json(found["features"]["place"]).counts == (1, 1, 1)
    assert sum(found["features"]["amount"]["counts"]) == sum(found["score"]["counts"]) == 3
