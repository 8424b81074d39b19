"""Lines for the person at the terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def say(line: str = "") -> None:
    with suppress(OSError):  # a terminal that is gone is no reason to stop
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce work, and say how long it took."""
    say(f"  {title} ...")
    began = time.monotonic()
    yield
    say(f"  {title}: done in {time.monotonic() - began:.1f} s")
