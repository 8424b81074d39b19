"""What statements about one event amount to: the strongest source wins, then the newest word."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One source's word. `known` and `reversed_at` are in microseconds; a greater `rank` is a
    stronger source, 0 is the event's own label; `tie` orders what came in the same microsecond."""

    known: int
    rank: int
    positive: bool
    reversed_at: int | None = None
    tie: str = ""


@dataclass(frozen=True, slots=True)
class Spell:
    """What holds for an event from `start`, known then, until just before `end` (None: still)."""

    start: int
    end: int | None
    positive: bool


def spells(statements: Iterable[Statement]) -> list[Spell]:
    """The stretches of time in which a statement stood, in their order; between them and before
    them none did. Neighbors differ."""
    waiting = sorted(statements, key=lambda s: s.known, reverse=True)
    moments = {s.known for s in waiting}
    moments |= {s.reversed_at for s in waiting if s.reversed_at is not None}
    standing: list[tuple[int, int, str, Statement]] = []  # a heap, the winner first
    found: list[Spell] = []
    start, says = 0, None  # since when the present word holds, and the word
    for now in sorted(moments):
        while waiting and waiting[-1].known <= now:
            new = waiting.pop()
            heapq.heappush(standing, (-new.rank, -new.known, _reversed(new.tie), new))
        while standing and _is_over(standing[0][3], now):
            heapq.heappop(standing)
        word = standing[0][3].positive if standing else None
        if word == says:
            continue
        if says is not None:
            found.append(Spell(start, now, says))
        start, says = now, word
    if says is not None:
        found.append(Spell(start, None, says))
    return found


def positive_intervals(statements: Iterable[Statement]) -> list[tuple[int, int | None]]:
    """The stretches [from, to) of known time in which the event counts as confirmed risk."""
    return [(spell.start, spell.end) for spell in spells(statements) if spell.positive]


def outcome(statements: Iterable[Statement]) -> bool | None:
    """Whether the event counts as confirmed risk by now; None when no statement stands."""
    standing = [s for s in statements if s.reversed_at is None]
    if not standing:
        return None
    return max(standing, key=lambda s: (s.rank, s.known, s.tie)).positive


def _is_over(statement: Statement, now: int) -> bool:
    return statement.reversed_at is not None and statement.reversed_at <= now


def _reversed(text: str) -> str:
    """Sorts the other way round than `text`, for texts of one length."""
    return "".join(chr(0x10FFFF - ord(c)) for c in text)
