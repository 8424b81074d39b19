"""Bootstrap intervals agree with resampling the rows one by one."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.ml import intervals

RNG = np.random.default_rng(8)
LABELS = (RNG.random(2000) < 0.1).astype(np.int8)
SCORES = np.round(np.where(LABELS, RNG.beta(3, 3, 2000), RNG.beta(2, 6, 2000)), 2)  # with ties


def by_rows() -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {"auroc": [], "average_precision": []}
    for _ in range(400):
        weights = RNG.poisson(1, len(LABELS))
        found["auroc"].append(roc_auc_score(LABELS, SCORES, sample_weight=weights))
        found["average_precision"].append(
            average_precision_score(LABELS, SCORES, sample_weight=weights)
        )
    return {n: (np.percentile(v, 2.5), np.percentile(v, 97.5)) for n, v in found.items()}


def test_the_short_way_gives_the_intervals_of_the_long_way() -> None:
    short = intervals.bootstrap(LABELS, SCORES, threshold=0.5)
    for name, (low, high) in by_rows().items():
        assert short[name][0] == pytest.approx(low, abs=0.15 * (high - low))
        assert short[name][1] == pytest.approx(high, abs=0.15 * (high - low))


def test_without_resampling_the_short_way_gives_the_metric_itself() -> None:
    class Once:
        """Weights that are what they stand for."""

        def poisson(self, counts: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
            return np.broadcast_to(counts, shape)

    frauds, genuine = intervals._groups(LABELS, SCORES)
    found = intervals._ranks(Once(), frauds, genuine, 1)  # type: ignore[arg-type]
    assert found["auroc"][0] == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-12)
    ap = average_precision_score(LABELS, SCORES)
    assert found["average_precision"][0] == pytest.approx(ap, abs=1e-12)


def test_each_interval_holds_its_metric() -> None:
    found = intervals.bootstrap(LABELS, SCORES, threshold=0.5)
    flagged = SCORES >= 0.5
    recall = float(flagged[LABELS == 1].mean())
    assert found["recall"][0] < recall < found["recall"][1]
    assert found["precision"][0] < float(LABELS[flagged].mean()) < found["precision"][1]


def test_nothing_flagged_has_no_precision_to_be_sure_of() -> None:
    assert "precision" not in intervals.bootstrap(LABELS, SCORES, threshold=1.1)


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, second = (intervals.bootstrap(LABELS, SCORES, threshold=0.5, seed=4) for _ in range(2))
    assert first == second
