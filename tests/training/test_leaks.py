"""Data in which the answer is part of the question are noticed, and pass with a reason only."""

import numpy as np
import pytest

from training.ml import leaks, split
from training.ml.errors import Evidence, LeakSuspected, TrainingError
from training.ml.part import Part

RNG = np.random.default_rng(2)
LABELS = (RNG.random(4000) < 0.03).astype(np.int8)
NOISE = RNG.normal(size=4000)
DAY = 86_400.0


def evidence_of(column: np.ndarray, name: str = "x") -> list[Evidence]:
    part = Part.of(np.column_stack([NOISE, column]), LABELS)
    return leaks.in_features(part, ["amount", name])


def test_an_honest_feature_is_no_evidence() -> None:
    assert evidence_of(NOISE + LABELS) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_that_is_almost_the_label_is_named(sign: int) -> None:
    (found,) = evidence_of(sign * LABELS + 0.1 * NOISE, "status_code")
    assert (found.kind, found.column) == ("leak", "status_code")
    assert found.value > 0.99


def test_a_feature_that_is_there_only_for_fraud_is_named() -> None:
    (found,) = evidence_of(np.where(LABELS == 1, 1.0, np.nan))
    assert found.value == 1.0


@pytest.mark.parametrize("name", ["chargeback_count", "is_disputed=yes", "TX_FRAUD_SCENARIO"])
def test_what_is_written_down_afterwards_is_named_when_it_tells_something(name: str) -> None:
    (found,) = evidence_of(LABELS + NOISE, name)
    assert "only after" in found.text
    assert evidence_of(RNG.normal(size=4000), name) == []


def test_scores_that_are_too_good_are_evidence() -> None:
    honest = {"auroc": 0.93, "average_precision": 0.7, "prevalence": 0.01, "frauds": 300}
    assert leaks.in_scores(honest) == []
    assert leaks.in_scores(honest | {"average_precision": 0.91})
    assert leaks.in_scores(honest | {"auroc": 0.9999})
    # a third of the rows is fraud: high precision is nothing strange
    assert leaks.in_scores(honest | {"average_precision": 0.91, "prevalence": 0.3}) == []


def test_a_reason_lets_evidence_pass_and_is_told() -> None:
    found = [Evidence("leak", "x", "x is the label.", 1.0)]
    with pytest.raises(LeakSuspected) as caught:
        leaks.refuse(found, {"random_split": "another matter"})
    assert caught.value.evidence == tuple(found)
    assert leaks.refuse(found, {"leak": "it is a rule"}) == [
        "x is the label. Overridden: it is a rule"
    ]


def test_a_set_without_history_is_evidence() -> None:
    dropped = {"count_7d": "has one value only", "mean_7d": "has no value in any row"}
    declared = ["amount", "count_7d", "mean_7d"]
    assert leaks.without_history(dropped, declared)[0].kind == "no_history"
    assert leaks.without_history({}, declared) == []
    assert leaks.without_history({"amount": "excluded by request"}, ["amount"]) == []


# one row a day of each of two cards, over 30 days; the last six days are the test
SECONDS = np.repeat(np.arange(30), 2) * DAY
CARDS = np.tile([0, 1], 30)
MADE = split.Split(np.arange(16), np.arange(16, 34), np.arange(48, 60), "time", 7.0, "")


def labels_of(*frauds: tuple[int, int]) -> np.ndarray:
    """Labels with a fraud at each (day, card)."""
    labels = np.zeros(60, np.int8)
    labels[[2 * day + card for day, card in frauds]] = 1
    return labels


EACH_PART = ((1, 0), (9, 0), (25, 0))


def test_cards_with_a_known_fraud_leave_the_test() -> None:
    labels = labels_of(*EACH_PART[1:], (2, 1), (26, 0))
    with pytest.raises(TrainingError, match="both classes"):  # both cards were known
        split.without_known(MADE, labels, SECONDS, CARDS)
    labels = labels_of((2, 1), (9, 1), (25, 0), (27, 1))
    kept = split.without_known(MADE, labels, SECONDS, CARDS)
    assert set(CARDS[kept.test]) == {0}
    assert kept.notes == ("6 test rows of entities with a known fraud are left out",)


def test_a_fraud_counts_as_known_only_after_the_label_delay() -> None:
    labels = labels_of((20, 1))
    known = split.known_before(MADE, labels, SECONDS, CARDS)
    days = (SECONDS[MADE.test] / DAY).astype(int)
    assert days[known].tolist() == [28, 29]  # seven days after day 20 are over then
    assert set(CARDS[MADE.test][known]) == {1}


def test_a_random_split_of_rows_with_times_needs_a_reason() -> None:
    labels = (np.arange(200) % 10 == 0).astype(np.int8)
    seconds = np.arange(200) * DAY
    with pytest.raises(LeakSuspected, match="overrides.random_split"):
        split.make(labels, seconds, split.SplitRequest(at_random=True))
    reason = {"random_split": "the times are made up"}
    made = split.make(labels, seconds, split.SplitRequest(at_random=True, overrides=reason))
    assert made.method == "random, stratified"
    assert made.note == "overridden: the times are made up"


def test_a_gap_shorter_than_the_label_delay_needs_a_reason() -> None:
    labels = (np.arange(200) % 10 == 0).astype(np.int8)
    seconds = np.arange(200) * DAY
    short = split.SplitRequest(label_delay_days=0, least_delay_days=7)
    with pytest.raises(LeakSuspected, match="overrides.label_delay"):
        split.make(labels, seconds, short)


def test_entities_on_both_sides_of_a_random_split_are_evidence() -> None:
    entities = np.array([0, 1, 2, 3, 0, 5])
    train, test = np.array([0, 1, 2]), np.array([3, 4, 5])
    (found,) = leaks.shared_entities(train, test, entities)
    assert found.value == pytest.approx(1 / 3)
    assert leaks.shared_entities(train, test, np.arange(6)) == []
