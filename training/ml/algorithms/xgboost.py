"""Gradient-boosted trees by XGBoost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]
Progress = Callable[[int, int, float], None]

OPSET = 15
INPUT = "input"


@dataclass(frozen=True)
class Fitted:
    """A trained booster with the way out of it."""

    booster: xgb.Booster

    def predict(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Probabilities of fraud, shape (n,), in [0, 1]."""
        return self.booster.inplace_predict(matrix, iteration_range=self._range).astype(np.float64)

    def native(self) -> bytes:
        """The model in XGBoost's own UBJSON."""
        return bytes(self._trimmed().save_raw("ubj"))

    def onnx(self) -> bytes:
        """The model as ONNX: `input` (n, width) float32 -> `probabilities` (n, 2)."""
        booster = self._trimmed()
        kinds = [(INPUT, FloatTensorType([None, booster.num_features()]))]
        model = convert_xgboost(booster, initial_types=kinds, target_opset=OPSET)
        return bytes(model.SerializeToString())

    @property
    def rounds(self) -> int:
        return self._range[1]

    @property
    def _range(self) -> tuple[int, int]:
        best = self.booster.attr("best_iteration")
        return (0, int(best) + 1 if best else self.booster.num_boosted_rounds())

    def _trimmed(self) -> xgb.Booster:
        return self.booster[slice(*self._range)]


def fit(
    train: tuple[Matrix, Labels],
    validation: tuple[Matrix, Labels],
    parameters: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
    on_round: Progress,
) -> Fitted:
    """Train on (matrix, labels), watching average precision on the validation rows.

    `on_round(done, total, validation_ap)` is called after each tree and may
    raise to stop the training.
    """
    options = dict(parameters)
    rounds = options.pop("n_estimators")
    patience = options.pop("early_stopping_rounds")
    options |= {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "tree_method": "hist",
        "seed": seed,
        "nthread": threads,
    }
    data = xgb.QuantileDMatrix(*train, max_bin=options["max_bin"], nthread=threads)
    watched = xgb.QuantileDMatrix(
        *validation, max_bin=options["max_bin"], ref=data, nthread=threads
    )
    booster = xgb.train(
        options,
        data,
        num_boost_round=rounds,
        evals=[(watched, "validation")],
        early_stopping_rounds=patience or None,
        callbacks=[_Watch(on_round, rounds)],
        verbose_eval=False,
    )
    return Fitted(booster)


class _Watch(xgb.callback.TrainingCallback):
    def __init__(self, on_round: Progress, total: int) -> None:
        super().__init__()
        self._on_round = on_round
        self._total = total

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._on_round(epoch + 1, self._total, float(evals_log["validation"]["aucpr"][-1]))
        return False
