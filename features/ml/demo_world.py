"""A simulated world of cards, terminals and fraud, to try the platform with.

Cards pay at terminals near them. Three kinds of fraud are labelled, a later
one over an earlier: amounts over 220; terminals that turn bad for 28 days;
cards that leak for 14 days, a third of whose payments are then five times as
high. Fraud scores on this world say nothing about real cards.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SQUARE = 100.0
DAY = 86_400
HIGH_AMOUNT = 220.0
BAD_TERMINAL_DAYS = 28
LEAKED_CARD_DAYS = 14
FULL_SIZE_CARDS, FULL_SIZE_TERMINALS = 5000, 10_000
BAD_TERMINALS_A_DAY, LEAKED_CARDS_A_DAY = 2, 3  # at full size

# category: share of terminals, how readily a terminal of it turns bad
CATEGORIES = {
    "grocery": (0.28, 0.2),
    "restaurant": (0.20, 0.4),
    "fuel": (0.12, 0.6),
    "retail": (0.20, 0.6),
    "electronics": (0.08, 4.0),
    "travel": (0.05, 3.0),
    "online": (0.07, 6.0),
}
TIMES_OF_DAY = ("night", "morning", "afternoon", "evening")
FOREIGN_SHARE, FOREIGN_SHARE_LEAKED = 0.03, 0.4


@dataclass(frozen=True)
class World:
    """How large the world is; `radius` is how far a card goes in a square of 100 by 100."""

    cards: int = 500
    terminals: int = 1000
    days: int = 90
    radius: float = 16.0
    start: str = "2026-01-01"
    seed: int = 7


@dataclass
class _Payments:
    card: npt.NDArray[np.int64]
    terminal: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]

    @property
    def day(self) -> npt.NDArray[np.int64]:
        return self.second // DAY


def generate(world: World) -> pa.Table:
    """The world's payments in the order of time.

    Columns: transaction_id, timestamp, customer_id, terminal_id, amount,
    merchant_category, time_of_day, location, is_fraud.
    """
    rng = np.random.default_rng(world.seed)
    category = rng.choice(
        len(CATEGORIES), size=world.terminals, p=[share for share, _ in CATEGORIES.values()]
    )
    payments = _payments(world, rng)
    foreign = rng.random(len(payments.card)) < FOREIGN_SHARE
    fraud = payments.amount > HIGH_AMOUNT
    fraud |= _bad_terminals(world, payments, category, rng)
    leaked = _leaked_cards(world, payments, rng)
    payments.amount[leaked] *= 5
    fraud |= leaked
    foreign[leaked] = rng.random(int(leaked.sum())) < FOREIGN_SHARE_LEAKED
    return _table(world, payments, category, foreign, fraud)


def _payments(world: World, rng: np.random.Generator) -> _Payments:
    cards = rng.uniform(0, SQUARE, (world.cards, 2))
    terminals = rng.uniform(0, SQUARE, (world.terminals, 2))
    mean = rng.uniform(5, 100, world.cards)
    rate = rng.uniform(0, 4, world.cards)
    parts = []
    for card in range(world.cards):
        near = np.flatnonzero(np.hypot(*(terminals - cards[card]).T) < world.radius)
        if not len(near):
            continue
        count = rng.poisson(rate[card], world.days)
        day = np.repeat(np.arange(world.days), count)
        second = rng.normal(DAY / 2, 20_000, len(day)).astype(np.int64)
        inside = (second > 0) & (second < DAY)
        day, second = day[inside], second[inside]
        amount = rng.normal(mean[card], mean[card] / 2, len(day))
        negative = amount < 0
        amount[negative] = rng.uniform(0, 2 * mean[card], int(negative.sum()))
        terminal = rng.choice(near, len(day))
        parts.append((np.full(len(day), card), terminal, day * DAY + second, amount))
    card_, terminal_, second_, amount_ = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.argsort(second_, kind="stable")
    return _Payments(card_[order], terminal_[order], second_[order], amount_[order])


def _bad_terminals(
    world: World, payments: _Payments, category: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    weight = np.array([risk for _, risk in CATEGORIES.values()])[category]
    fraud = np.zeros(len(payments.card), dtype=bool)
    a_day = BAD_TERMINALS_A_DAY * world.terminals / FULL_SIZE_TERMINALS
    for day in range(world.days):
        bad = rng.choice(world.terminals, rng.poisson(a_day), p=weight / weight.sum())
        within = (payments.day >= day) & (payments.day < day + BAD_TERMINAL_DAYS)
        fraud |= within & np.isin(payments.terminal, bad)
    return fraud


def _leaked_cards(
    world: World, payments: _Payments, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    fraud = np.zeros(len(payments.card), dtype=bool)
    a_day = LEAKED_CARDS_A_DAY * world.cards / FULL_SIZE_CARDS
    for day in range(world.days):
        leaked = rng.integers(0, world.cards, rng.poisson(a_day))
        within = (payments.day >= day) & (payments.day < day + LEAKED_CARD_DAYS)
        theirs = np.flatnonzero(within & np.isin(payments.card, leaked))
        fraud[rng.choice(theirs, len(theirs) // 3, replace=False)] = True
    return fraud


def _table(
    world: World,
    payments: _Payments,
    category: npt.NDArray[np.int64],
    foreign: npt.NDArray[np.bool_],
    fraud: npt.NDArray[np.bool_],
) -> pa.Table:
    start = np.datetime64(world.start, "s")
    quarter = (payments.second % DAY) // (DAY // 4)
    return pa.table(
        {
            "transaction_id": np.arange(len(fraud)),
            "timestamp": start + payments.second.astype("timedelta64[s]"),
            "customer_id": payments.card,
            "terminal_id": payments.terminal,
            "amount": np.round(payments.amount, 2),
            "merchant_category": np.array(list(CATEGORIES))[category[payments.terminal]],
            "time_of_day": np.array(TIMES_OF_DAY)[quarter],
            "location": np.where(foreign, "foreign", "domestic"),
            "is_fraud": fraud.astype(np.int8),
        }
    )
