"""XGBoost models from outside. Runs only in a child process: the library reads what it is given
without much doubt, and a damaged file can crash it."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import xgboost as xgb

from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.graphs import INPUT

OBJECTIVES = ("binary:logistic", "reg:logistic")  # whose scores are probabilities
OPSET = 15  # the newest that the converter writes


@dataclass(frozen=True)
class Boosted:
    """A booster of two classes; `names` are its columns' where it knows them."""

    booster: xgb.Booster
    names: tuple[str, ...] | None

    @property
    def width(self) -> int:
        return int(self.booster.num_features())

    @property
    def rounds(self) -> int:
        return int(self.booster.num_boosted_rounds())

    def predict(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probabilities of fraud, shape (n,); NaN is a missing value."""
        scores = self.booster.inplace_predict(rows)
        return np.asarray(scores, dtype=np.float64)

    def native(self) -> bytes:
        return bytes(self.booster.save_raw("ubj"))

    def onnx(self) -> bytes:
        # imported when it is needed: the converter takes a second
        tools = import_module("onnxmltools")
        kind = import_module("onnxmltools.convert.common.data_types").FloatTensorType
        kinds = [(INPUT, kind([None, self.width]))]
        model = tools.convert_xgboost(self.booster, initial_types=kinds, target_opset=OPSET)
        return bytes(model.SerializeToString())


def load(data: bytes) -> Boosted:
    """The booster in a UBJSON or JSON file.

    A model that scikit-learn's interface stopped early keeps its best rounds only, as that
    interface predicts. Raises `Refused` for anything but trees that give one probability.
    """
    if not data.lstrip()[:1] == b"{":
        raise Refused("is not XGBoost's UBJSON or JSON; older binary files must be saved again")
    booster = xgb.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
        config = orjson.loads(booster.save_config())
    except (xgb.core.XGBoostError, ValueError) as error:
        text = str(error).strip().splitlines()
        raise Refused(f"XGBoost can't read it: {text[-1][:200] if text else ''}") from None
    _check(config["learner"], booster)
    names = tuple(booster.feature_names) if booster.feature_names else None
    best = booster.attr("best_iteration")
    if best is not None and best.isdecimal() and booster.attr("scikit_learn") is not None:
        booster = booster[: int(best) + 1]
    # the converter reads f0, f1, ... only
    booster.feature_names = None
    booster.feature_types = None
    return Boosted(booster, names)


def _check(learner: dict[str, Any], booster: xgb.Booster) -> None:
    objective = learner["objective"]["name"]
    if objective not in OBJECTIVES:
        raise Refused(f"has the objective {objective[:80]!r}; {' or '.join(OBJECTIVES)} is taken")
    shape = learner["learner_model_param"]
    if int(shape.get("num_class", 0)) > 1 or int(shape.get("num_target", 1)) > 1:
        raise Refused("has more than two classes or more than one target")
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise Refused(f"is boosted by {kind[:80]!r}; gbtree is taken")
    if "c" in (booster.feature_types or ()):
        raise Refused("has categorical columns, which can't be converted; encode them as numbers")
    if not booster.num_boosted_rounds():
        raise Refused("has no tree")
