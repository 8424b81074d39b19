"""Identifiers: time-ordered ones for rows that arrive fast, and what counts as a UUID."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from aegisml.base import ids


def test_ids_sort_by_the_time_they_were_made_at() -> None:
    made = []
    for _ in range(5):
        made.append(ids.time_ordered())
        time.sleep(0.002)
    assert made == sorted(made)


def test_ten_thousand_ids_made_at_once_differ() -> None:
    assert len({ids.time_ordered() for _ in range(10_000)}) == 10_000


def test_an_id_tells_when_it_was_made() -> None:
    made_at = ids.time_of(ids.time_ordered())
    assert made_at is not None
    assert abs(datetime.now(tz=UTC) - made_at) < timedelta(seconds=1)


def test_a_random_id_tells_no_time() -> None:
    assert ids.time_of(uuid.uuid4()) is None


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 32, "{" + "0" * 34 + "}", "g" * 36, "urn:uuid:" + "0" * 27]
)
def test_only_the_canonical_form_is_a_uuid(text: str) -> None:
    assert ids.parse_uuid(text) is None
    assert ids.parse_uuid(str(uuid.UUID(int=5))) == uuid.UUID(int=5)
