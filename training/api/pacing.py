"""How often the readers of live streams may come, so that predictions keep the web process."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

SHARE = 0.15  # of a process's time, for all streams together
FLOOD = 0.4  # from here on streams are turned away: their readers don't do as they are told
WINDOW = 5.0  # seconds over which that is looked at
SOONEST, LATEST = 1.0, 30.0  # seconds between two answers to a reader
AROUND = 0.002  # seconds that a request takes outside of the view


@dataclass(frozen=True)
class _Answer:
    """When it was given, what it cost in seconds, and after how many its reader comes again."""

    at: float
    seconds: float
    told: float

    @property
    def due(self) -> float:
        return self.at + self.told


class Pace:
    """What the streams of this process cost lately, and what to tell their readers.

    `retry` is the one thing that an EventSource obeys. A reader counts from its answer until it
    is due again; with so many of them that their answers would take more than SHARE of the
    process's time, each is asked to come less often.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: deque[_Answer] = deque(maxlen=2000)
        self._lock = Lock()

    def spent(self, seconds: float, *, told: float = 0) -> None:
        """An answer took so long, and told its reader to come again; 0: there is no reader."""
        with self._lock:
            self._answers.append(_Answer(self._clock(), seconds + AROUND, told))

    def interval(self) -> float:
        """Seconds after which the next reader may come again."""
        answers, now = self._recent(), self._clock()
        if not answers:
            return SOONEST
        readers = 1 + sum(answer.due >= now for answer in answers)
        cost = sum(answer.seconds for answer in answers) / len(answers)
        return min(LATEST, max(SOONEST, readers * cost / SHARE))

    def share(self) -> float:
        """The share of the last seconds that answers took."""
        since = self._clock() - WINDOW
        return sum(a.seconds for a in self._recent() if a.at >= since) / WINDOW

    def flooded(self) -> int | None:
        """Whole seconds to stay away for, when streams take too much of the process; or None."""
        return math.ceil(WINDOW) if self.share() > FLOOD else None

    def _recent(self) -> list[_Answer]:
        with self._lock:
            oldest = self._clock() - LATEST
            while self._answers and self._answers[0].at < oldest:
                self._answers.popleft()
            return list(self._answers)
