"""Lengths of time as people write them: 30s, 10m, 6h, 7d. Computed in microseconds."""

import re

SECOND = 1_000_000
UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
DAY = UNITS["d"]
MAX = 3660 * DAY
_FORM = re.compile(r"([0-9]{1,9})([smhd])")


def parse(text: object) -> int:
    """Microseconds, at most ten years; raises ValueError with a sentence for anything else."""
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a whole number with a unit, such as 30m, 12h or 7d")
    length = int(match[1]) * UNITS[match[2]]
    if length > MAX:
        raise ValueError("must not be longer than 3660d")
    return length


def spell(microseconds: int) -> str:
    """The shortest text that `parse` reads back."""
    for unit in ("d", "h", "m", "s"):
        if microseconds % UNITS[unit] == 0:
            return f"{microseconds // UNITS[unit]}{unit}"
    raise ValueError(f"{microseconds} us is no whole number of seconds")
