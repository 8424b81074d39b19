"""Calibration is fitted on validation rows and kept when it lessens the error."""

import numpy as np
import pytest

from training.ml import calibrating
from training.ml.metrics import expected_calibration_error

RNG = np.random.default_rng(5)
TRUTH = RNG.beta(0.5, 6, 20_000)
LABELS = (RNG.random(len(TRUTH)) < TRUTH).astype(np.int8)
OVERSURE = TRUTH**2 / (TRUTH**2 + (1 - TRUTH) ** 2)  # its odds are the square of the true ones


def test_true_probabilities_are_left_alone() -> None:
    found = calibrating.choose(LABELS, TRUTH, wanted="platt")
    assert found.after <= found.before
    assert found.before < 0.005


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_scores_that_are_too_sure_become_probabilities(method: str) -> None:
    found = calibrating.choose(LABELS, OVERSURE, wanted=method)
    assert found.curve.method == method
    assert found.before > 0.02
    assert found.after < found.before / 4
    fresh = RNG.beta(0.5, 6, 20_000)
    labels = (RNG.random(len(fresh)) < fresh).astype(np.int8)
    scores = fresh**2 / (fresh**2 + (1 - fresh) ** 2)
    assert expected_calibration_error(labels, found.curve.apply(scores)) < 0.01


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_the_order_of_scores_survives(method: str) -> None:
    curve = calibrating.choose(LABELS, OVERSURE, wanted=method).curve
    scores = np.unique(np.round(OVERSURE, 4))
    assert np.all(np.diff(curve.apply(scores)) > 0)


def test_none_wanted_gives_none() -> None:
    assert calibrating.choose(LABELS, OVERSURE, wanted="none").curve.method == "none"


def test_too_few_frauds_for_a_curve_are_not_curved() -> None:
    labels = np.zeros(1000, np.int8)
    labels[:3] = 1
    assert calibrating.choose(labels, RNG.random(1000)).curve.method == "none"


def test_the_calibration_error_of_a_known_case() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 1], np.int8)
    scores = np.array([0.1, 0.1, 0.2, 0.2, 0.8, 0.8, 0.9, 0.9])
    # four groups of two: |0.1 - 0|, |0.2 - 0.5|, |0.8 - 1|, |0.9 - 0.5|
    assert expected_calibration_error(labels, scores, bins=4) == pytest.approx(0.25)
