"""The pipeline's own parameters of a training request, apart from the algorithm's."""

from collections.abc import Mapping
from typing import Any

from aegisml.base.errors import FieldError, Invalid

_SHARES = {"validation_split": (0.01, 0.5), "test_split": (0.01, 0.5)}
_MAX_DELAY_DAYS = 365
_MAX_SEED = 2**31 - 1
_COLUMN = ("label_column", "time_column")
DEFAULTS: dict[str, Any] = {
    "validation_split": 0.2,
    "test_split": 0.1,
    "label_column": None,
    "time_column": None,
    "label_delay_days": None,
    "exclude_columns": [],
    "keep_columns": [],
    "seed": 0,
}


def checked(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part `parameters` into the pipeline's (checked) and the rest, which the algorithm checks.

    Raises `Invalid` naming each wrong one.
    """
    own = {name: value for name, value in parameters.items() if name in DEFAULTS}
    problems = [
        FieldError(f"parameters.{name}", text)
        for name, value in own.items()
        if (text := _problem(name, value))
    ]
    if problems:
        raise Invalid.fields(problems)
    return own, {name: value for name, value in parameters.items() if name not in DEFAULTS}


def _problem(name: str, value: Any) -> str | None:
    if name in _SHARES:
        return _number(value, *_SHARES[name])
    if name == "label_delay_days":
        return None if value is None else _number(value, 0, _MAX_DELAY_DAYS)
    if name == "seed":
        return _number(value, 0, _MAX_SEED) or (None if value == int(value) else "must be whole")
    if name in _COLUMN:
        return None if value is None or isinstance(value, str) else "must be a column's name"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None
    return "must be a list of column names"


def _number(value: Any, low: float, high: float) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return f"must be a number between {low:g} and {high:g}"
    return None
