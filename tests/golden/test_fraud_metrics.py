"""Fraud metrics against reference values."""

import numpy as np
import pytest

from training.ml import metrics, thresholds

# R18: ties among the scores, three frauds at ranks 1, 3 and tied
LABELS = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], np.int8)
SCORES = np.array([0.9, 0.35, 0.45, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.0])


def test_auroc_and_average_precision_of_the_reference_case() -> None:
    found = metrics.evaluate(LABELS, SCORES, threshold=0.5)
    assert found["auroc"] == pytest.approx(0.875, abs=1e-12)
    assert found["average_precision"] == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize(
    ("threshold", "cells", "precision", "recall", "f1"),
    [
        (0.9, {"tp": 1, "fp": 0, "fn": 1, "tn": 8}, 1.0, 0.5, 2 / 3),
        (0.35, {"tp": 2, "fp": 2, "fn": 0, "tn": 6}, 0.5, 1.0, 2 / 3),
        (0.0, {"tp": 2, "fp": 8, "fn": 0, "tn": 0}, 0.2, 1.0, 1 / 3),
        (0.91, {"tp": 0, "fp": 0, "fn": 2, "tn": 8}, None, 0.0, 0.0),
    ],
)
def test_counts_at_a_threshold(
    threshold: float, cells: dict[str, int], precision: float | None, recall: float, f1: float
) -> None:
    found = metrics.evaluate(LABELS, SCORES, threshold=threshold)
    assert found["confusion_matrix"] == cells
    assert (found["precision"], found["recall"]) == (precision, recall)
    assert found["f1"] == pytest.approx(f1)
    assert (found["rows"], found["frauds"], found["prevalence"]) == (10, 2, 0.2)


def test_average_precision_is_the_step_sum_and_not_the_trapezoid() -> None:
    found = metrics.evaluate(
        np.array([1, 0, 0, 1], np.int8), np.array([0.9, 0.8, 0.7, 0.1]), threshold=0.5
    )
    assert found["average_precision"] == pytest.approx(0.75)  # a trapezoid gives 0.58


def test_the_review_threshold_has_the_best_f1() -> None:
    rng = np.random.default_rng(11)
    labels = (rng.random(400) < 0.1).astype(np.int8)
    scores = np.round(np.where(labels, rng.beta(4, 2, 400), rng.beta(1, 6, 400)), 2)
    policy = thresholds.choose(labels, scores, metrics.Beside(), thresholds.PolicyRequest())
    best = max(metrics.evaluate(labels, scores, threshold=t)["f1"] for t in np.unique(scores))
    assert metrics.evaluate(labels, scores, threshold=policy.review)["f1"] == pytest.approx(best)


def test_the_block_threshold_is_the_lowest_that_is_precise_over_enough_rows() -> None:
    labels = np.array([1] * 30 + [0] * 70, np.int8)
    scores = np.concatenate([np.linspace(0.5, 0.9, 30), np.linspace(0.0, 0.6, 70)])
    policy = thresholds.choose(labels, scores, metrics.Beside(), thresholds.PolicyRequest())
    assert policy.block is not None
    found = metrics.evaluate(labels, scores, threshold=policy.block)
    assert found["precision"] >= 0.95
    assert found["confusion_matrix"]["tp"] + found["confusion_matrix"]["fp"] >= 20
    assert policy.block >= policy.review


def test_too_few_sure_rows_give_no_block_threshold() -> None:
    assert (
        thresholds.choose(LABELS, SCORES, metrics.Beside(), thresholds.PolicyRequest()).block
        is None
    )
