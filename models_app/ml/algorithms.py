"""What can be trained, and the parameters that each algorithm takes.

Imported by web processes: no library of machine learning belongs here.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Value = int | float | str | bool


class ParameterError(ValueError):
    """Parameters are wrong; `problems` maps each name to a sentence."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True)
class Parameter:
    """One value that an algorithm takes: a number in [low, high], one of `choices`, or a bool.

    `log` says that a number is better searched by its magnitude than by its value.
    """

    name: str
    kind: Literal["int", "float", "choice", "bool"]
    default: Value
    help: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    log: bool = False

    @property
    def allowed(self) -> str:
        """What it takes, for people: "0 to 1", "none, balanced"."""
        if self.kind == "bool":
            return "true, false"
        return ", ".join(self.choices) if self.choices else f"{self.low:g} to {self.high:g}"

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, or None."""
        if self.kind == "bool":
            return None if isinstance(value, bool) else "must be true or false"
        if self.kind == "choice":
            return self._problem_of_choice(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, not {type(value).__name__}"
        if not self.low <= value <= self.high:  # NaN fails this too
            return f"must be between {self.low:g} and {self.high:g}"
        if self.kind == "int" and value != int(value):
            return "must be a whole number"
        return None

    def cast(self, value: Any) -> Value:
        """`value`, which has no problem, in this parameter's kind."""
        kinds: dict[str, type[int | float | str | bool]] = {
            "int": int, "float": float, "choice": str, "bool": bool
        }  # fmt: skip
        return kinds[self.kind](value)

    def _problem_of_choice(self, value: object) -> str | None:
        if isinstance(value, str) and value in self.choices:
            return None
        return f"must be one of {self.allowed}{_nearest(value, self.choices)}"


def _int(
    name: str, low: int, high: int, default: int, text: str, *, log: bool = False
) -> Parameter:
    return Parameter(name, "int", default, text, low, high, log=log)


def _float(
    name: str, low: float, high: float, default: float, text: str, *, log: bool = False
) -> Parameter:
    return Parameter(name, "float", default, text, low, high, log=log)


def _choice(name: str, choices: tuple[str, ...], text: str) -> Parameter:
    return Parameter(name, "choice", choices[0], text, choices=choices)


# max_bin and base_score differ from the library's defaults on purpose: with 256 bins the
# histogram can't cut inside the top 0.4 % of amounts, where fraud is, and an intercept at the
# base rate costs average precision too (docs/adr/0003-xgboost-defaults.md has the figures).
XGBOOST = (
    _int("n_estimators", 1, 5000, 100, "number of trees", log=True),
    _int("max_depth", 1, 16, 4, "depth of a tree"),
    _float("learning_rate", 0.001, 1, 0.1, "shrinkage of each tree", log=True),
    _int("max_bin", 16, 65536, 2048, "histogram bins per feature", log=True),
    _float("base_score", 0.001, 0.999, 0.5, "first guess, a probability"),
    _float("min_child_weight", 0, 1000, 1, "smallest sum of hessians in a leaf"),
    _float("gamma", 0, 1000, 0, "smallest gain of a split"),
    _float("subsample", 0.05, 1, 1, "share of rows per tree"),
    _float("colsample_bytree", 0.05, 1, 1, "share of features per tree"),
    _float("reg_lambda", 0, 1000, 1, "L2 penalty"),
    _float("reg_alpha", 0, 1000, 0, "L1 penalty"),
    _float("scale_pos_weight", 0.01, 10000, 1, "weight of the positive class", log=True),
    _int("early_stopping_rounds", 0, 1000, 0, "trees without a better one; 0 trains every tree"),
)

_CLASS_WEIGHT = _choice("class_weight", ("none", "balanced"), "weight of the rarer class")

RANDOM_FOREST = (
    _int("n_estimators", 1, 2000, 100, "number of trees", log=True),
    _int("max_depth", 1, 64, 20, "depth of a tree"),
    _int("min_samples_leaf", 1, 10000, 1, "fewest rows in a leaf", log=True),
    _choice("max_features", ("sqrt", "log2", "half", "all"), "columns tried for each split"),
    _choice("criterion", ("gini", "entropy"), "what a split improves"),
    _float("max_samples", 0.01, 1, 1, "share of rows per tree"),
    _CLASS_WEIGHT,
)

LOGISTIC_REGRESSION = (
    _float("c", 1e-6, 1e6, 1, "inverse of the L2 penalty", log=True),
    _CLASS_WEIGHT,
    _int("max_iterations", 1, 1000, 50, "Newton steps at most"),
)

ISOLATION_FOREST = (
    _int("n_estimators", 1, 2000, 100, "number of trees", log=True),
    _int("max_samples", 2, 100_000, 256, "rows per tree", log=True),
    _float("max_features", 0.05, 1, 1, "share of columns per tree"),
)

_TRAINING_OF_NETWORKS = (
    _float("dropout", 0, 0.9, 0.2, "share of units that are dropped in training"),
    _float("learning_rate", 1e-6, 1, 0.002, "step of Adam", log=True),
    _int("batch_size", 8, 65536, 64, "rows per step", log=True),
    _int("patience", 0, 1000, 5, "epochs without a better one; 0 trains every epoch"),
    _float("weight_decay", 0, 1, 0, "L2 penalty of Adam"),
    _float("positive_weight", 0.01, 10000, 1, "weight of the positive class", log=True),
)

NEURAL_NETWORK = (
    _int("hidden_units", 1, 4096, 500, "units of a hidden layer", log=True),
    _int("hidden_layers", 1, 8, 1, "number of hidden layers"),
    _int("epochs", 1, 1000, 20, "times that each row is seen", log=True),
    *_TRAINING_OF_NETWORKS,
)

LSTM = (
    _int("hidden_units", 1, 1024, 100, "units of the recurrent layer", log=True),
    _int("dense_units", 1, 4096, 500, "units of the layer after it", log=True),
    _int("epochs", 1, 1000, 12, "times that each row is seen", log=True),
    *_TRAINING_OF_NETWORKS,
)

ENSEMBLE = (
    _choice(
        "method", ("stacking", "vote"), "a regression, or a mean with the weights that rank best"
    ),
    _float("c", 1e-6, 1e6, 0.1, "how far stacking may go from equal weights", log=True),
)

PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "xgboost": XGBOOST,
    "random_forest": RANDOM_FOREST,
    "logistic_regression": LOGISTIC_REGRESSION,
    "neural_network": NEURAL_NETWORK,
    "lstm": LSTM,
    "isolation_forest": ISOLATION_FOREST,
    "ensemble": ENSEMBLE,
}


def checked(algorithm: str, given: Mapping[str, object]) -> dict[str, Value]:
    """`given` with each value in its kind.

    Raises `ParameterError` naming every unknown or out-of-range parameter.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS[algorithm]}
    problems: dict[str, str] = {}
    values: dict[str, Value] = {}
    for name, value in given.items():
        if name not in known:
            problems[name] = (
                f"unknown parameter of {algorithm}{_nearest(name, tuple(known))}; "
                f"it takes {', '.join(known)}"
            )
        elif text := known[name].problem(value):
            problems[name] = text
        else:
            values[name] = known[name].cast(value)
    if problems:
        raise ParameterError(problems)
    return values


def defaults(algorithm: str) -> dict[str, Value]:
    """Every parameter of `algorithm` with its default."""
    return {parameter.name: parameter.default for parameter in PARAMETERS[algorithm]}


def _nearest(value: object, known: tuple[str, ...]) -> str:
    """ ", did you mean 'max_depth'?", or nothing when no name is near."""
    found = difflib.get_close_matches(str(value)[:100].lower(), known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""
