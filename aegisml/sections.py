"""The part of the configuration that is about algorithms, and what all parts have in common.

Bounds are those of `models_app/ml/algorithms.py`; a test compares the two.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A group of keys: typed, and closed to keys it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class XgboostDefaults(Section):
    max_depth: int = Field(4, ge=1, le=16)
    learning_rate: float = Field(0.1, ge=0.001, le=1)
    n_estimators: int = Field(100, ge=1, le=5000)


class RandomForestDefaults(Section):
    n_estimators: int = Field(100, ge=1, le=2000)
    max_depth: int = Field(20, ge=1, le=64)
    min_samples_leaf: int = Field(1, ge=1, le=10_000)


class LogisticRegressionDefaults(Section):
    c: float = Field(1.0, ge=1e-6, le=1e6)
    class_weight: Literal["none", "balanced"] = "none"


class IsolationForestDefaults(Section):
    n_estimators: int = Field(100, ge=1, le=2000)
    max_samples: int = Field(256, ge=2, le=100_000)


class NeuralNetworkDefaults(Section):
    hidden_units: int = Field(500, ge=1, le=4096)
    hidden_layers: int = Field(1, ge=1, le=8)
    epochs: int = Field(20, ge=1, le=1000)
    batch_size: int = Field(64, ge=8, le=65_536)


class LstmDefaults(Section):
    hidden_units: int = Field(100, ge=1, le=1024)
    dense_units: int = Field(500, ge=1, le=4096)
    epochs: int = Field(12, ge=1, le=1000)
    batch_size: int = Field(64, ge=8, le=65_536)


class EnsembleDefaults(Section):
    method: Literal["stacking", "vote"] = "stacking"


class Xgboost(Section):
    enabled: bool = True
    default_params: XgboostDefaults = XgboostDefaults()


class RandomForest(Section):
    enabled: bool = True
    default_params: RandomForestDefaults = RandomForestDefaults()


class LogisticRegression(Section):
    enabled: bool = True
    default_params: LogisticRegressionDefaults = LogisticRegressionDefaults()


class IsolationForest(Section):
    enabled: bool = True
    default_params: IsolationForestDefaults = IsolationForestDefaults()


class NeuralNetwork(Section):
    enabled: bool = True
    default_params: NeuralNetworkDefaults = NeuralNetworkDefaults()


class Lstm(Section):
    enabled: bool = True
    default_params: LstmDefaults = LstmDefaults()


class Ensemble(Section):
    enabled: bool = True
    default_params: EnsembleDefaults = EnsembleDefaults()


class Algorithms(Section):
    xgboost: Xgboost = Xgboost()
    random_forest: RandomForest = RandomForest()
    neural_network: NeuralNetwork = NeuralNetwork()
    lstm: Lstm = Lstm()
    logistic_regression: LogisticRegression = LogisticRegression()
    isolation_forest: IsolationForest = IsolationForest()
    ensemble: Ensemble = Ensemble()
