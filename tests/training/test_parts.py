"""A part gives the same rows whole, in batches and by place, whether it is kept or streamed."""

import numpy as np
import pytest

from training.ml import part
from training.ml.part import Part

MATRIX = np.arange(300, dtype=np.float32).reshape(100, 3)
ROWS = np.random.default_rng(1).permutation(100)[:60]


@pytest.fixture(params=["kept", "streamed"])
def some(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Part:
    if request.param == "streamed":
        monkeypatch.setattr(part, "WHOLE_BYTES", 10)
    made = Part(ROWS, 3, lambda rows: MATRIX[rows])
    assert made.is_large == (request.param == "streamed")
    return made


def test_batches_together_are_the_rows_in_order(some: Part) -> None:
    found = list(some.batches(25))
    assert [len(batch) for batch in found] == [25, 25, 10]
    assert np.array_equal(np.vstack(found), MATRIX[ROWS])


def test_rows_by_place_come_in_the_order_asked_for(some: Part) -> None:
    places = np.array([59, 0, 7])
    assert np.array_equal(some.take(places), MATRIX[ROWS[places]])


def test_a_streamed_part_keeps_nothing(some: Part) -> None:
    list(some.batches(25))
    some.take(np.array([1]))
    assert ("matrix" in some.__dict__) != some.is_large


def test_labels_that_nobody_knows_are_refused(some: Part) -> None:
    with pytest.raises(ValueError, match="no labels"):
        _ = some.truth
