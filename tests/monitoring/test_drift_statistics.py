"""Distances against reference values computed with scipy and published examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.ml import drift
from monitoring.ml.drift import State

EVEN = np.full(10, 0.1)
MOVED = np.array([0.05, 0.08, 0.09, 0.10, 0.11, 0.12, 0.13, 0.12, 0.11, 0.09])


def test_psi_and_js_of_ten_bins() -> None:
    assert drift.psi(EVEN, MOVED) == pytest.approx(0.058297, abs=1e-6)
    assert drift.js(EVEN, MOVED) == pytest.approx(0.101898, abs=1e-6)


def test_psi_and_js_of_three_bins() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.3, 0.6])
    assert drift.psi(p, q) == pytest.approx(0.087547, abs=1e-6)
    assert drift.js(p, q) == pytest.approx(0.124656, abs=1e-6)


def test_an_empty_bin_is_smoothed_by_half_a_count() -> None:
    p = drift.shares(np.array([500, 500, 0]))
    q = drift.shares(np.array([400, 500, 100]))
    assert drift.psi(p, q) == pytest.approx(0.551792, abs=1e-5)


def test_disjoint_distributions_are_one_apart() -> None:
    assert drift.js(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("bins", "n", "m", "quantile"), [(10, 1000, 1000, 0.05575), (10, 10_000, 500, 0.05854)]
)
def test_the_null_of_psi_depends_on_the_sample_sizes(
    bins: int, n: int, m: int, quantile: float
) -> None:
    assert drift.psi_null(bins, n, m) == pytest.approx(quantile, abs=5e-5)


def test_ks_is_the_largest_gap_of_the_cumulative_shares() -> None:
    assert drift.ks(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])) == pytest.approx(0.3)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_nothing_is_away_from_itself(counts: list[int]) -> None:
    p = drift.shares(np.array(counts))
    assert drift.psi(p, p) == 0
    assert drift.ks(p, p) == 0
    assert drift.js(p, p) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("method", ["ks", "psi", "js"])
def test_samples_of_one_distribution_do_not_drift(method: str) -> None:
    rng = np.random.default_rng(3)
    verdicts = [
        drift.compare(
            rng.multinomial(5000, EVEN),
            rng.multinomial(300, EVEN),
            method=method,
            threshold=0.05,
            ordered=True,
            least=200,
        ).state
        for _ in range(200)
    ]
    assert verdicts.count(State.DRIFT) <= 3


@pytest.mark.parametrize("method", ["ks", "psi", "js"])
def test_a_real_shift_is_found_by_every_method(method: str) -> None:
    found = drift.compare(
        np.array([1000] * 10), np.array([10] * 5 + [100] * 5),
        method=method, threshold=0.05, ordered=True, least=200,
    )  # fmt: skip
    assert found.state is State.DRIFT


def test_few_rows_are_insufficient_data_and_not_a_verdict() -> None:
    found = drift.compare(
        np.array([100, 100]),
        np.array([50, 0]),
        method="psi",
        threshold=0.1,
        ordered=True,
        least=200,
    )
    assert (found.state, found.value) == (State.INSUFFICIENT, None)


def test_categories_are_compared_by_js_where_ks_has_no_meaning() -> None:
    found = drift.compare(
        np.array([500, 500]),
        np.array([500, 0]),
        method="ks",
        threshold=0.05,
        ordered=False,
        least=200,
    )
    assert (found.method, found.state) == ("js", State.DRIFT)
