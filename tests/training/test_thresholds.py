"""Each threshold policy does what its name promises on the rows it is chosen on."""

from typing import Any

import numpy as np
import pytest

from training.ml import thresholds
from training.ml.errors import TrainingError
from training.ml.metrics import DAY, Beside
from training.ml.thresholds import PolicyRequest

RNG = np.random.default_rng(3)
LABELS = (RNG.random(3000) < 0.05).astype(np.int8)
SCORES = np.round(np.where(LABELS, RNG.beta(4, 3, 3000), RNG.beta(1, 8, 3000)), 3)
AMOUNTS = np.round(RNG.lognormal(4, 1, 3000), 2)
SECONDS = np.sort(RNG.random(3000)) * 10 * DAY


def choose(rule: Any, **numbers: Any) -> float:
    beside = Beside(seconds=SECONDS, amounts=AMOUNTS)
    return thresholds.choose(LABELS, SCORES, beside, PolicyRequest(rule, **numbers)).review


def cost(threshold: float, review_cost: float) -> float:
    flagged = threshold <= SCORES
    return float(AMOUNTS[(LABELS == 1) & ~flagged].sum() + review_cost * flagged.sum())


def test_the_cost_rule_finds_the_cheapest_threshold() -> None:
    chosen = choose("cost", review_cost=10.0)
    cheapest = min(cost(t, 10.0) for t in np.unique(SCORES))
    assert cost(chosen, 10.0) == pytest.approx(cheapest)


def test_dearer_reviews_make_fewer_alerts() -> None:
    assert choose("cost", review_cost=200.0) > choose("cost", review_cost=1.0)


def test_the_capacity_rule_uses_the_day_and_no_more() -> None:
    chosen = choose("alerts_per_day", alerts=15)
    below = np.unique(SCORES)[np.searchsorted(np.unique(SCORES), chosen) - 1]
    assert (chosen <= SCORES).sum() <= 150 < (below <= SCORES).sum()


def test_the_precision_rule_keeps_the_most_recall() -> None:
    chosen = choose("precision_floor", precision=0.8)
    assert LABELS[chosen <= SCORES].mean() >= 0.8
    lower = [t for t in np.unique(SCORES) if t < chosen]
    assert all(LABELS[t <= SCORES].mean() < 0.8 for t in lower)


def test_a_precision_out_of_reach_says_what_is_in_reach() -> None:
    labels = np.array([1, 0, 1, 0, 0, 0], np.int8)
    scores = np.array([0.9, 0.9, 0.5, 0.5, 0.1, 0.1])
    request = PolicyRequest("precision_floor", precision=0.9)
    with pytest.raises(TrainingError, match=r"policy: no threshold .* the best is 0\.500"):
        thresholds.choose(labels, scores, Beside(), request)


@pytest.mark.parametrize(
    ("rule", "said"), [("cost", "amount_column"), ("alerts_per_day", "rows with times")]
)
def test_a_rule_without_what_it_needs_names_it(rule: Any, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        thresholds.choose(LABELS, SCORES, Beside(), PolicyRequest(rule))


def test_models_without_labels_review_a_share() -> None:
    policy = thresholds.by_share(SCORES, 0.02)
    assert (policy.review <= SCORES).mean() == pytest.approx(0.02, abs=0.003)
    assert policy.block is None
