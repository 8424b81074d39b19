"""Threshold policies: from scores of validation rows to the bands approve, review and block."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from models_app.ml.policy import Policy
from training.ml.errors import TrainingError
from training.ml.metrics import DAY, Beside, Labels, Scores

Rule = Literal["max_f1", "cost", "alerts_per_day", "precision_floor"]
RULES: tuple[Rule, ...] = ("max_f1", "cost", "alerts_per_day", "precision_floor")
BLOCK_PRECISION = 0.95
MIN_BLOCKED = 20


@dataclass(frozen=True)
class PolicyRequest:
    """How the review threshold is chosen; the numbers that a rule doesn't name are not read.

    `review_cost` is the money that looking at one alert takes, `missed_share` the share of a
    missed fraud's amount that is lost, `alerts` what the team can look at in a day, `precision`
    the least share of fraud among alerts.
    """

    rule: Rule = "max_f1"
    review_cost: float = 5.0
    missed_share: float = 1.0
    alerts: int = 100
    precision: float = 0.5


@dataclass(frozen=True)
class _Cuts:
    """What each possible threshold does, from the lowest: shapes (k,)."""

    thresholds: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    flagged: npt.NDArray[np.int64]


def choose(labels: Labels, scores: Scores, beside: Beside, request: PolicyRequest) -> Policy:
    """The policy by `request`, on validation rows.

    The block threshold is the lowest one at or above the review threshold whose precision is at
    least 0.95 over at least 20 rows, else there is none. Raises `TrainingError` when the rule
    needs an amount or times that aren't there, or no threshold reaches the wanted precision.
    """
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    ordered = np.sort(scores)
    flagged = len(scores) - np.searchsorted(ordered, thresholds, side="left")
    cuts = _Cuts(thresholds, precision[:-1], recall[:-1], flagged)
    place, said = _RULES[request.rule](cuts, labels, scores, beside, request)
    good = np.flatnonzero((cuts.precision >= BLOCK_PRECISION) & (flagged >= MIN_BLOCKED))
    good = good[good >= place]
    return Policy(
        review=_probability(thresholds[place]),
        block=_probability(thresholds[good[0]]) if len(good) else None,
        rule=f"review: {said}; block: precision >= {BLOCK_PRECISION:g} (both on validation rows)",
    )


def by_share(scores: Scores, share: float) -> Policy:
    """For models without labels: the highest `share` of the training rows go to review."""
    return Policy(
        review=_probability(np.quantile(scores, 1 - share)),
        block=None,
        rule=f"review: the {share:.2%} strangest of the training rows; block: never, as nobody"
        " knows which of them are fraud",
    )


def _max_f1(
    cuts: _Cuts, labels: Labels, scores: Scores, beside: Beside, request: PolicyRequest
) -> tuple[int, str]:
    f1 = 2 * cuts.precision * cuts.recall / np.maximum(cuts.precision + cuts.recall, 1e-12)
    return int(np.argmax(f1)), "best F1"


def _cost(
    cuts: _Cuts, labels: Labels, scores: Scores, beside: Beside, request: PolicyRequest
) -> tuple[int, str]:
    if beside.amounts is None:
        raise TrainingError("policy", "the rule 'cost' needs an amount; name it in amount_column")
    money = np.where(labels == 1, np.nan_to_num(beside.amounts), 0.0)
    order = np.argsort(scores, kind="stable")
    below = np.append(0.0, np.cumsum(money[order]))
    missed = below[len(scores) - cuts.flagged] * request.missed_share
    cost = missed + cuts.flagged * request.review_cost
    place = int(np.argmin(cost))
    return place, (
        f"least cost, with {request.review_cost:g} an alert and {request.missed_share:.0%}"
        f" of a missed fraud's amount ({cost[place]:,.2f} on these rows)"
    )


def _alerts_per_day(
    cuts: _Cuts, labels: Labels, scores: Scores, beside: Beside, request: PolicyRequest
) -> tuple[int, str]:
    if beside.seconds is None:
        raise TrainingError("policy", "the rule 'alerts_per_day' needs rows with times")
    days = len(np.unique((beside.seconds // DAY).astype(np.int64)))
    enough = np.flatnonzero(cuts.flagged <= request.alerts * days)
    # ties at the top may be more than a day's work: the highest threshold is the least of them
    place = int(enough[0]) if len(enough) else len(cuts.thresholds) - 1
    return place, f"about {request.alerts} alerts a day ({cuts.flagged[place] / days:.1f} here)"


def _precision_floor(
    cuts: _Cuts, labels: Labels, scores: Scores, beside: Beside, request: PolicyRequest
) -> tuple[int, str]:
    good = np.flatnonzero(cuts.precision >= request.precision)
    if not len(good):
        best = float(cuts.precision.max())
        text = f"no threshold reaches a precision of {request.precision:g}; the best is {best:.3f}"
        raise TrainingError("policy", text)
    place = int(good[np.argmax(cuts.recall[good])])
    return place, f"most recall with precision >= {request.precision:g}"


_RULES = {
    "max_f1": _max_f1,
    "cost": _cost,
    "alerts_per_day": _alerts_per_day,
    "precision_floor": _precision_floor,
}


def _probability(value: Any) -> float:
    return float(min(max(value, 0.0), 1.0))
