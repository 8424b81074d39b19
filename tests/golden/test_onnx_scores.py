"""What serves gives the scores of what was trained, holes in the data included."""

import numpy as np
import pytest
import xgboost as xgb

from inference.loaded import load
from tests.factories import make_model, trained_version


@pytest.mark.django_db
@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize("depth", [1, 6, 12])
def test_onnx_scores_equal_xgboost_s_also_where_values_are_missing(depth: int) -> None:
    parameters = {"n_estimators": 30, "max_depth": depth, "learning_rate": 0.3, "base_score": 0.2}
    version = trained_version(make_model(parameters=parameters))
    booster = xgb.Booster()
    booster.load_model(bytearray((version.bundle_folder / "model.ubj").read_bytes()))
    loaded = load(version)
    rng = np.random.default_rng(depth)
    matrix = rng.lognormal(3, 2, (2000, loaded.signature.width)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    matrix[0] = np.nan
    expected = booster.inplace_predict(matrix)
    assert len(np.unique(expected)) > 1
    assert loaded.scorer.score(matrix) == pytest.approx(expected, abs=1e-6)
    singles = np.array([loaded.scorer.score(matrix[i : i + 1])[0] for i in range(50)])
    assert singles == pytest.approx(expected[:50], abs=1e-6)
