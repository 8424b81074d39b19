"""The algorithms, by name. A module is imported when it is used: some libraries take seconds."""

from importlib import import_module
from typing import cast

from training.ml.algorithms.contract import Algorithm

MODULES = {
    "xgboost": "training.ml.algorithms.xgboost",
    "random_forest": "training.ml.algorithms.random_forest",
    "logistic_regression": "training.ml.algorithms.logistic_regression",
    "neural_network": "training.ml.algorithms.neural_network",
    "lstm": "training.ml.algorithms.lstm",
    "isolation_forest": "training.ml.algorithms.isolation_forest",
    "ensemble": "training.ml.algorithms.ensemble",
}


def load(name: str) -> Algorithm:
    """The algorithm called `name`; raises KeyError for one that isn't there."""
    return cast(Algorithm, import_module(MODULES[name]))
