"""A calibration is a rising line that serves one score and many alike."""

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_app.ml.calibration import Calibration

CURVE = Calibration("isotonic", (0.0, 0.2, 0.25, 0.9, 1.0), (0.0, 0.01, 0.3, 0.31, 0.8))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_one_score_and_many_are_calibrated_to_the_same_bit(scores: list[float]) -> None:
    many = CURVE.apply(np.array(scores)).tolist()
    assert many == [CURVE.apply_one(score) for score in scores]


@pytest.mark.parametrize(("score", "expected"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.8), (2.0, 0.8)])
def test_scores_beyond_the_ends_stay_at_the_ends(score: float, expected: float) -> None:
    assert CURVE.apply_one(score) == expected
    assert CURVE.apply(np.array([score]))[0] == expected


def test_no_calibration_changes_nothing() -> None:
    assert Calibration().apply_one(0.1234567) == 0.1234567
    assert Calibration().apply(np.array([0.25], np.float32)).tolist() == [0.25]


def test_it_comes_back_from_json_to_the_bit() -> None:
    assert Calibration.from_json(orjson.loads(orjson.dumps(CURVE.to_json()))) == CURVE


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((0.0,), (0.0,)),
        ((0.0, 1.0), (0.0,)),
        ((0.0, 0.0), (0.0, 1.0)),
        ((0.0, 1.0), (1.0, 0.0)),
        ((0.0, 1.0), (0.0, 1.5)),
        ((0.0, 1.0), (-0.5, 1.0)),
        ((0.0, float("nan")), (0.0, 1.0)),
    ],
)
def test_a_curve_that_is_no_calibration_is_refused(
    x: tuple[float, ...], y: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration("platt", x, y)
