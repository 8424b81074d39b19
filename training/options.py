"""The pipeline's own parameters of a training request, apart from the algorithm's."""

from collections.abc import Callable, Mapping
from typing import Any

from aegisml.base import moments
from aegisml.base.errors import FieldError, Invalid

Problem = str | None

MAX_DELAY_DAYS = 365
MAX_SEED = 2**31 - 1
MAX_REASON = 400
MAX_MEMBERS = 20
MAX_COLUMNS = 100
CALIBRATIONS = ("auto", "none", "isotonic", "platt")
SPLITS = ("time", "random")
KNOWN_ENTITIES = ("remove", "keep")
# what a reason lets pass (the kinds of training.ml.errors.Evidence)
OVERRIDES = (
    "random_split", "label_delay", "known_entities", "shared_entities", "no_history", "leak",
)  # fmt: skip
# the numbers of each threshold policy, with their bounds
POLICIES: dict[str, dict[str, tuple[float, float]]] = {
    "max_f1": {},
    "cost": {"review_cost": (0, 1e6), "missed_share": (0.001, 10)},
    "alerts_per_day": {"alerts": (1, 1_000_000)},
    "precision_floor": {"precision": (0.01, 1)},
}
DEFAULTS: dict[str, Any] = {
    "validation_split": 0.2,
    "test_split": 0.1,
    "test_from": None,
    "split": "time",
    "label_column": None,
    "time_column": None,
    "label_delay_days": None,
    "exclude_columns": [],
    "keep_columns": [],
    "seed": 0,
    "refit": False,
    "calibration": "auto",
    "policy": {"rule": "max_f1"},
    "amount_column": None,
    "entity_column": None,
    "segment_columns": [],
    "typology_column": None,
    "known_entities": "remove",
    "overrides": {},
    "members": [],
}


def checked(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part `parameters` into the pipeline's (checked) and the rest, which the algorithm checks.

    Raises `Invalid` naming each wrong one.
    """
    own = {name: value for name, value in parameters.items() if name in DEFAULTS}
    problems = [
        FieldError(f"parameters.{name}", text)
        for name, value in own.items()
        if (text := _CHECKS[name](value))
    ]
    if own.get("test_from") is not None and "test_split" in own:
        problems.append(FieldError("parameters.test_from", "replaces test_split: give one of them"))
    if problems:
        raise Invalid.fields(problems)
    return own, {name: value for name, value in parameters.items() if name not in DEFAULTS}


def _number(low: float, high: float, *, whole: bool = False, optional: bool = False) -> Any:
    def check(value: Any) -> Problem:
        if value is None and optional:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high  # NaN fails this too
        ):
            return f"must be a number between {low:g} and {high:g}"
        return "must be whole" if whole and value != int(value) else None

    return check


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], Problem]:
    def check(value: Any) -> Problem:
        known = isinstance(value, str) and value in choices
        return None if known else f"must be one of {', '.join(choices)}"

    return check


def _column(value: Any) -> Problem:
    if value is None or (isinstance(value, str) and value and "\0" not in value):
        return None
    return "must be a column's name"


def _columns(value: Any) -> Problem:
    if not isinstance(value, list) or not all(isinstance(v, str) and "\0" not in v for v in value):
        return "must be a list of column names"
    return None


def _few_columns(value: Any) -> Problem:
    too_many = isinstance(value, list) and len(value) > MAX_COLUMNS
    return f"must be at most {MAX_COLUMNS} columns" if too_many else _columns(value)


def _flag(value: Any) -> Problem:
    return None if isinstance(value, bool) else "must be true or false"


def _moment(value: Any) -> Problem:
    if value is None:
        return None
    if not isinstance(value, str):
        return f"must be a time in ISO 8601, such as {moments.EXAMPLE}"
    try:
        moments.parse(value)
    except ValueError as error:
        return str(error)
    return None


def _policy(value: Any) -> Problem:
    if not isinstance(value, Mapping) or value.get("rule") not in POLICIES:
        return f'must be {{"rule": ...}} with one of {", ".join(POLICIES)}'
    bounds = POLICIES[value["rule"]]
    for name, number in value.items():
        if name == "rule":
            continue
        if name not in bounds:
            takes = f"takes {', '.join(bounds)}" if bounds else "takes no number"
            return f"{name[:60]}: the rule {value['rule']} {takes}"
        if text := _number(*bounds[name])(number):
            return f"{name}: {text}"
    return None


def _overrides(value: Any) -> Problem:
    if not isinstance(value, Mapping):
        return 'must be an object such as {"random_split": "the reason"}'
    for kind, reason in value.items():
        if kind not in OVERRIDES:
            return f"{str(kind)[:60]}: must be one of {', '.join(OVERRIDES)}"
        if not isinstance(reason, str) or not 0 < len(reason.strip()) <= MAX_REASON:
            return f"{kind}: needs a reason of at most {MAX_REASON} characters"
        if "\0" in reason:
            return f"{kind}: text may not hold a NUL character"
    return None


def _members(value: Any) -> Problem:
    good = isinstance(value, list) and len(value) <= MAX_MEMBERS
    if not good or not all(isinstance(member, str) for member in value):
        return f'must be a list of up to {MAX_MEMBERS} versions such as "card_fraud@3"'
    return "names a version twice" if len(set(value)) < len(value) else None


_CHECKS: dict[str, Callable[[Any], Problem]] = {
    "validation_split": _number(0.01, 0.5),
    "test_split": _number(0.01, 0.5),
    "test_from": _moment,
    "split": _one_of(SPLITS),
    "label_column": _column,
    "time_column": _column,
    "label_delay_days": _number(0, MAX_DELAY_DAYS, optional=True),
    "exclude_columns": _columns,
    "keep_columns": _columns,
    "seed": _number(0, MAX_SEED, whole=True),
    "refit": _flag,
    "calibration": _one_of(CALIBRATIONS),
    "policy": _policy,
    "amount_column": _column,
    "entity_column": _column,
    "segment_columns": _few_columns,
    "typology_column": _column,
    "known_entities": _one_of(KNOWN_ENTITIES),
    "overrides": _overrides,
    "members": _members,
}
