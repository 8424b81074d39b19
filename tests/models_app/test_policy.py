"""From a score to a decision."""

import pytest

from models_app.ml.policy import Policy


@pytest.mark.parametrize(
    ("score", "decision"),
    [(0.0, "approve"), (0.2999, "approve"), (0.3, "review"), (0.8999, "review"), (0.9, "block"),
     (1.0, "block")],
)  # fmt: skip
def test_a_threshold_belongs_to_the_stricter_side(score: float, decision: str) -> None:
    assert Policy(review=0.3, block=0.9, rule="").decide(score) == decision


def test_without_a_block_threshold_nothing_is_stopped() -> None:
    assert Policy(review=0.3, block=None, rule="").decide(1.0) == "review"


def test_equal_thresholds_leave_no_room_for_review() -> None:
    assert Policy(review=0.5, block=0.5, rule="").decide(0.5) == "block"


@pytest.mark.parametrize(
    ("review", "block"), [(-0.1, None), (1.1, None), (0.5, 0.4), (0.5, 1.1), (float("nan"), None)]
)
def test_thresholds_out_of_order_are_no_policy(review: float, block: float | None) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        Policy(review=review, block=block, rule="")
