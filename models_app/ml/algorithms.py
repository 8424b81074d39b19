"""What can be trained, and the parameters that each algorithm takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = int | float


class ParameterError(ValueError):
    """Parameters are wrong; `problems` maps each name to a sentence."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True)
class Parameter:
    """One number that an algorithm takes: its kind, closed range [low, high] and default."""

    name: str
    kind: Literal["int", "float"]
    low: float
    high: float
    default: Value
    help: str

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, or None."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, not {type(value).__name__}"
        if not self.low <= value <= self.high:  # NaN fails this too
            return f"must be between {self.low:g} and {self.high:g}"
        if self.kind == "int" and value != int(value):
            return "must be a whole number"
        return None

    def cast(self, value: Value) -> Value:
        return int(value) if self.kind == "int" else float(value)


# max_bin and base_score differ from the library's defaults on purpose: with 256 bins the
# histogram can't cut inside the top 0.4 % of amounts, where fraud is, and an intercept at the
# base rate costs average precision too (docs/adr/0003-xgboost-defaults.md has the figures).
XGBOOST = (
    Parameter("n_estimators", "int", 1, 5000, 100, "number of trees"),
    Parameter("max_depth", "int", 1, 16, 6, "depth of a tree"),
    Parameter("learning_rate", "float", 0.001, 1, 0.1, "shrinkage of each tree"),
    Parameter("max_bin", "int", 16, 65536, 2048, "histogram bins per feature"),
    Parameter("base_score", "float", 0.001, 0.999, 0.5, "first guess, a probability"),
    Parameter("min_child_weight", "float", 0, 1000, 1, "smallest sum of hessians in a leaf"),
    Parameter("gamma", "float", 0, 1000, 0, "smallest gain of a split"),
    Parameter("subsample", "float", 0.05, 1, 1, "share of rows per tree"),
    Parameter("colsample_bytree", "float", 0.05, 1, 1, "share of features per tree"),
    Parameter("reg_lambda", "float", 0, 1000, 1, "L2 penalty"),
    Parameter("reg_alpha", "float", 0, 1000, 0, "L1 penalty"),
    Parameter("scale_pos_weight", "float", 0.01, 10000, 1, "weight of the positive class"),
    Parameter("early_stopping_rounds", "int", 0, 1000, 0, "0 trains every tree"),
)

PARAMETERS: dict[str, tuple[Parameter, ...]] = {"xgboost": XGBOOST}


def checked(algorithm: str, given: Mapping[str, object]) -> dict[str, Value]:
    """`given` with each value in its kind.

    Raises `ParameterError` naming every unknown or out-of-range parameter.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS[algorithm]}
    problems: dict[str, str] = {}
    values: dict[str, Value] = {}
    for name, value in given.items():
        if name not in known:
            problems[name] = f"unknown parameter of {algorithm}; it takes {', '.join(known)}"
        elif text := known[name].problem(value):
            problems[name] = text
        else:
            values[name] = known[name].cast(value)  # type: ignore[arg-type]
    if problems:
        raise ParameterError(problems)
    return values


def defaults(algorithm: str) -> dict[str, Value]:
    """Every parameter of `algorithm` with its default."""
    return {parameter.name: parameter.default for parameter in PARAMETERS[algorithm]}
