"""Which word about an event holds, now and at any moment of the past."""

import random

import pytest

from features.ml.labels import Spell, Statement, outcome, positive_intervals, spells

OWN, CUSTOMER, ANALYST, SAR, CHARGEBACK = range(5)


def said(known: int, rank: int, positive: bool, until: int | None = None) -> Statement:
    return Statement(known=known, rank=rank, positive=positive, reversed_at=until)


def test_without_statements_there_is_no_outcome() -> None:
    assert spells([]) == []
    assert positive_intervals([]) == []
    assert outcome([]) is None


def test_a_word_holds_from_when_it_was_known() -> None:
    assert positive_intervals([said(10, ANALYST, True)]) == [(10, None)]
    assert positive_intervals([said(10, ANALYST, False)]) == []


def test_the_newest_word_of_a_source_holds() -> None:
    words = [said(30, ANALYST, True), said(10, ANALYST, True), said(20, ANALYST, False)]
    assert positive_intervals(words) == [(10, 20), (30, None)]


def test_a_weaker_source_can_not_take_a_stronger_ones_word_back() -> None:
    words = [said(10, CHARGEBACK, True), said(20, SAR, False), said(30, CUSTOMER, False)]
    assert positive_intervals(words) == [(10, None)]


def test_a_stronger_source_overrules_a_weaker_one_that_spoke_later() -> None:
    words = [said(10, CUSTOMER, True), said(20, CHARGEBACK, False), said(30, ANALYST, True)]
    assert positive_intervals(words) == [(10, 20)]


def test_a_word_that_was_taken_back_gives_way_to_the_next_best() -> None:
    words = [said(10, CUSTOMER, True), said(20, CHARGEBACK, False, until=30)]
    assert spells(words) == [Spell(10, 20, True), Spell(20, 30, False), Spell(30, None, True)]
    assert outcome(words) is True


def test_after_the_last_reversal_nobody_says_anything() -> None:
    words = [said(10, ANALYST, True, until=20)]
    assert spells(words) == [Spell(10, 20, True)]
    assert outcome(words) is None


def test_a_word_taken_back_at_once_never_held() -> None:
    assert spells([said(10, ANALYST, True, until=10)]) == []


def test_the_events_own_label_is_the_weakest_word() -> None:
    words = [said(5, OWN, True), said(10, CUSTOMER, False, until=20)]
    assert positive_intervals(words) == [(5, 10), (20, None)]


def test_words_of_one_microsecond_are_ordered_by_their_tie() -> None:
    first = Statement(10, ANALYST, True, tie="a")
    second = Statement(10, ANALYST, False, tie="b")
    assert outcome([first, second]) is False
    assert spells([first, second]) == spells([second, first]) == [Spell(10, None, False)]


@pytest.mark.parametrize("seed", range(20))
def test_each_moment_shows_what_a_look_at_that_moment_finds(seed: int) -> None:
    rng = random.Random(seed)
    words = [
        Statement(
            known=(known := rng.randrange(20)),
            rank=rng.randrange(5),
            positive=rng.random() < 0.5,
            reversed_at=known + rng.randrange(10) if rng.random() < 0.5 else None,
            tie=str(i),
        )
        for i in range(10)
    ]
    found = spells(words)
    for now in range(35):
        standing = [
            w for w in words if w.known <= now and (w.reversed_at is None or w.reversed_at > now)
        ]
        best = max(standing, key=lambda w: (w.rank, w.known, w.tie), default=None)
        [shown] = [
            s.positive for s in found if s.start <= now and (s.end is None or now < s.end)
        ] or [None]
        assert shown == (best.positive if best else None)
