"""The API tells what can be trained and with which parameters."""

import pytest

from aegisml.base.auth import roles
from models_app.choices import Algorithm
from tests.factories import api_client


@pytest.mark.django_db
def test_each_algorithm_is_listed_with_the_bounds_and_defaults_of_its_parameters() -> None:
    answer = api_client(roles.VIEWER).get("/api/v1/algorithms")
    found = {row["name"]: row for row in answer.json()}
    assert set(found) == set(Algorithm.values)
    assert found["xgboost"]["enabled"] is True
    rate = next(p for p in found["xgboost"]["parameters"] if p["name"] == "learning_rate")
    assert rate["default"] == 0.1
    assert rate["allowed"] == "0.001 to 1"
