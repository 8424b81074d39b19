"""Where a study looks: the stretch or the choices of each parameter that it varies.

A space is JSON, by parameter: {"low": 2, "high": 8}, with "log": true where magnitudes count
more than values, or {"choices": ["none", "balanced"]}.

Imported by web processes: no library of machine learning belongs here.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from models_app.ml.algorithms import PARAMETERS, Parameter, ParameterError, Value, defaults

Range = dict[str, Any]
Space = dict[str, Range]

MAX_CHOICES = 50
_OF_STRETCHES = ("low", "high", "log")
_SHOWN = 60  # characters of a wrong name
_NUMBERS = ("int", "float")

_NETWORK: Space = {
    "hidden_units": {"low": 50, "high": 800, "log": True},
    "dropout": {"low": 0.0, "high": 0.6},
    "learning_rate": {"low": 0.0002, "high": 0.005, "log": True},
    "batch_size": {"low": 64, "high": 512, "log": True},
    "positive_weight": {"low": 1.0, "high": 20.0, "log": True},
}

# Wide enough for both small and large data, and free of what hardly matters there or what other
# parameters do as well; what isn't here stays at its default.
DEFAULT_SPACES: dict[str, Space] = {
    "xgboost": {
        "n_estimators": {"low": 50, "high": 600, "log": True},
        "max_depth": {"low": 2, "high": 10},
        "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "min_child_weight": {"low": 0.5, "high": 50.0, "log": True},
        "subsample": {"low": 0.4, "high": 1.0},
        "colsample_bytree": {"low": 0.3, "high": 1.0},
        "reg_lambda": {"low": 0.1, "high": 100.0, "log": True},
    },
    "random_forest": {
        "n_estimators": {"low": 50, "high": 400, "log": True},
        "max_depth": {"low": 4, "high": 40},
        "min_samples_leaf": {"low": 1, "high": 50, "log": True},
        "max_features": {"choices": ["sqrt", "log2", "half", "all"]},
        "max_samples": {"low": 0.2, "high": 1.0},
        "class_weight": {"choices": ["none", "balanced", "balanced_subsample"]},
    },
    "logistic_regression": {
        "c": {"low": 0.0001, "high": 1000.0, "log": True},
        "class_weight": {"choices": ["none", "balanced"]},
    },
    "isolation_forest": {
        "n_estimators": {"low": 50, "high": 500, "log": True},
        "max_samples": {"low": 64, "high": 4096, "log": True},
        "max_features": {"low": 0.3, "high": 1.0},
    },
    "neural_network": {**_NETWORK, "hidden_layers": {"low": 1, "high": 3}},
    "lstm": {
        **_NETWORK,
        "hidden_units": {"low": 20, "high": 200, "log": True},
        "dense_units": {"low": 50, "high": 800, "log": True},
    },
}


def checked(algorithm: str, given: Mapping[str, Any]) -> Space:
    """`given` with each number in its parameter's kind.

    Raises `ParameterError` naming every parameter that is unknown, or whose range is none, or
    leaves the bounds of the algorithm's schema.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS[algorithm]}
    problems: dict[str, str] = {}
    space: Space = {}
    for name, wanted in given.items():
        if name not in known:
            problems[str(name)[:_SHOWN]] = _unknown(str(name), algorithm, tuple(known))
        elif text := next(_problems(known[name], wanted), None):
            problems[name] = text
        else:
            space[name] = _cast(known[name], wanted)
    if problems:
        raise ParameterError(problems)
    return space


def parameter(algorithm: str, name: str) -> Parameter:
    """The algorithm's parameter of this name."""
    return next(found for found in PARAMETERS[algorithm] if found.name == name)


def start(algorithm: str, space: Space, fixed: Mapping[str, Value]) -> dict[str, Value]:
    """The point of `space` that is nearest to `fixed` and the algorithm's defaults: what a
    search begins with, and has to beat."""
    known = {**defaults(algorithm), **fixed}
    return {name: _nearest_in(wanted, known[name]) for name, wanted in space.items()}


def _problems(found: Parameter, wanted: Any) -> Iterator[str]:
    if not isinstance(wanted, Mapping) or not wanted:
        yield _shape(found)
    elif "choices" in wanted:
        yield from _problems_of_choices(found, wanted)
    elif found.kind not in _NUMBERS:
        yield f'must be {{"choices": [...]}} of {found.allowed}'
    else:
        yield from _problems_of_stretch(found, wanted)


def _problems_of_choices(found: Parameter, wanted: Mapping[str, Any]) -> Iterator[str]:
    choices = wanted["choices"]
    if set(wanted) != {"choices"}:
        yield "choices stand alone, without low, high and log"
    elif not isinstance(choices, list) or not 1 < len(choices) <= MAX_CHOICES:
        yield f"choices must be a list of 2 to {MAX_CHOICES}; give a single value as a parameter"
    else:
        for value in choices:
            if text := found.problem(value):
                yield f"choices: {_said(value)} {text}"
        if len({found.cast(value) for value in choices}) < len(choices):
            yield "choices name a value twice"


def _problems_of_stretch(found: Parameter, wanted: Mapping[str, Any]) -> Iterator[str]:
    strange = [str(key)[:_SHOWN] for key in wanted if key not in _OF_STRETCHES]
    if strange:
        yield f"has no {strange[0]!r}: {_shape(found)}"
    for end in ("low", "high"):
        if end not in wanted:
            yield f"needs {end}: {_shape(found)}"
        elif text := found.problem(wanted[end]):
            yield f"{end} {text}"
    if not wanted["low"] < wanted["high"]:
        yield "low must be less than high; give a single value as a parameter"
    if not isinstance(wanted.get("log", False), bool):
        yield "log must be true or false"
    if wanted.get("log") and wanted["low"] <= 0:
        yield "low must be above 0 where log is true"


def _shape(found: Parameter) -> str:
    if found.kind in _NUMBERS:
        return 'must be {"low": ..., "high": ...} or {"choices": [...]}'
    return f'must be {{"choices": [...]}} of {found.allowed}'


def _cast(found: Parameter, wanted: Mapping[str, Any]) -> Range:
    if "choices" in wanted:
        return {"choices": [found.cast(value) for value in wanted["choices"]]}
    ends = {end: found.cast(wanted[end]) for end in ("low", "high")}
    return {**ends, "log": True} if wanted.get("log") else ends


def _nearest_in(wanted: Range, value: Value) -> Value:
    if "choices" not in wanted:
        nearest: Value = min(max(value, wanted["low"]), wanted["high"])
        return nearest
    choices: list[Value] = wanted["choices"]
    if value in choices or isinstance(value, str | bool):
        return value if value in choices else choices[0]
    return min(choices, key=lambda choice: math.fabs(float(choice) - float(value)))


def _unknown(name: str, algorithm: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name[:_SHOWN].lower(), known, n=1)
    nearest = f" (did you mean {found[0]!r}?)" if found else ""
    return f"unknown parameter of {algorithm}{nearest}; it takes {', '.join(known)}"


def _said(value: object) -> str:
    return repr(value)[:_SHOWN]
