"""Profiles of a day's values: fixed edges, nulls apart, counts that add up."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.ml import profile
from features.ml.profile import Histogram, Levels

NUMBERS = arrays.arrays(
    np.float64,
    st.integers(0, 80),
    elements=st.floats() | st.sampled_from([0.0, 1.0, 5e-324, 1.7e308, -1.7e308]),
)


@given(NUMBERS)
def test_edges_increase_strictly_and_are_few(sample: np.ndarray) -> None:
    edges = profile.edges_of(sample)
    assert len(edges) <= 20
    assert all(low < high for low, high in zip(edges, edges[1:], strict=False))
    assert np.isfinite(edges).all()


@given(NUMBERS, NUMBERS)
def test_counts_and_nulls_add_up_to_the_rows(sample: np.ndarray, values: np.ndarray) -> None:
    found = profile.of_numbers(values, profile.edges_of(sample))
    assert isinstance(found.histogram, Histogram)
    assert len(found.histogram.counts) == len(found.histogram.edges) + 1
    assert sum(found.histogram.counts) + found.nulls == found.rows == len(values)
    assert found.nulls == (~np.isfinite(values)).sum()
    json.dumps(found.to_json(), allow_nan=False)


def test_numbers_that_all_differ_fall_into_bins_of_equal_size() -> None:
    values = np.random.default_rng(0).permutation(np.arange(2100.0))
    found = profile.of_numbers(values, profile.edges_of(values)).histogram
    assert isinstance(found, Histogram)
    assert found.counts == (100,) * 21


@pytest.mark.parametrize("values", [[0, 1], [3, 3, 3, 7], list(range(21))])
def test_few_different_numbers_get_a_bin_each(values: list[int]) -> None:
    found = profile.of_numbers(values, profile.edges_of(values)).histogram
    assert isinstance(found, Histogram)
    assert found.counts == tuple(np.unique(values, return_counts=True)[1].tolist())


@pytest.mark.parametrize("atom", [0.0, 0.5, 1.0])
def test_a_value_that_most_rows_share_gets_a_bin_of_its_own(atom: float) -> None:
    others = np.setdiff1d(np.linspace(0, 1, 101), [atom])
    values = np.concatenate([np.full(10_000, atom), others])
    found = profile.of_numbers(values, profile.edges_of(values)).histogram
    assert isinstance(found, Histogram)
    assert 10_000 in found.counts


def test_one_value_or_none_gives_no_edges() -> None:
    assert profile.edges_of([7.0, 7.0, np.nan]) == ()
    assert profile.edges_of([]) == ()
    assert profile.of_numbers([7.0, None], ()).histogram == Histogram((), (1,))


def test_a_bin_holds_its_lower_edge_and_ends_are_open() -> None:
    found = profile.of_numbers([-1e9, 0.9, 1.0, 1.9, 2.0, 1e9, None], (1.0, 2.0))
    assert found.histogram == Histogram((1.0, 2.0), (2, 2, 2))
    assert (found.rows, found.nulls) == (7, 1)


def test_days_over_the_same_edges_can_be_added() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=500), rng.normal(1, 2, size=700)
    edges = profile.edges_of(first)
    days = [profile.of_numbers(values, edges).histogram for values in (first, second)]
    both = profile.of_numbers(np.concatenate([first, second]), edges).histogram
    assert isinstance(both, Histogram)
    assert [sum(pair) for pair in zip(*(day.counts for day in days), strict=True)] == list(
        both.counts
    )


def test_quantiles_are_values_that_occur() -> None:
    found = profile.of_numbers(np.arange(1.0, 101.0), ()).quantiles
    assert found == {"p1": 1, "p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}
    assert profile.of_numbers([None, np.nan], ()).quantiles == {}


def test_booleans_are_numbers() -> None:
    found = profile.of_numbers([True, False, None, True], profile.edges_of([0, 1]))
    assert found.histogram == Histogram((0.5,), (1, 2))


def test_texts_are_counted_by_level_with_the_rare_ones_together() -> None:
    values = [f"t{i:02}" for i in range(40) for _ in range(40 - i)] + [None] * 3
    found = profile.of_texts(np.array(values, dtype=object))
    assert isinstance(found.histogram, Levels)
    assert list(found.histogram.counts)[:2] == ["t00", "t01"]
    assert len(found.histogram.counts) == 30
    assert found.histogram.other == sum(range(1, 11))
    assert (found.rows, found.nulls, found.quantiles) == (len(values), 3, {})


def test_a_profile_is_plain_json() -> None:
    assert profile.of_texts(["a", "a", None]).to_json() == {
        "rows": 3, "nulls": 1, "histogram": {"counts": {"a": 2}, "other": 0}, "quantiles": {},
    }  # fmt: skip
    found = profile.of_numbers(np.array([1.0, 3.0]), (2.0,)).to_json()
    assert found["histogram"] == {"edges": (2.0,), "counts": (1, 1)}
    assert type(found["histogram"]["counts"][0]) is int
