"""A version pins the feature set that it was trained on: nobody takes it away from under it."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import FeatureSet, FeatureViewVersion
from models_app.models import ModelVersion
from models_app.services import registry
from models_app.services.registry import NewVersion
from tests.factories import (
    api_client,
    make_model,
    make_set,
    make_stream,
    make_view,
    pinned_version,
    trained_version,
)

pytestmark = pytest.mark.django_db
FEATURES = [
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "spent_1d", "aggregate": "sum", "of": "amount", "window": "1d"},
]


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.OPERATOR)


@pytest.fixture
def pinned(own_folders: Any) -> FeatureSet:
    first = make_view("spent", stream=make_stream("payments"), features=FEATURES)
    made = make_set(first, name="cards")
    make_view("spent", stream=first.view.stream, features=FEATURES[:1])  # promoted instead
    return made


@pytest.fixture
def version(pinned: FeatureSet) -> ModelVersion:
    return pinned_version(pinned, make_model("fraud"))


def test_a_version_tells_its_feature_set(client: APIClient, version: ModelVersion) -> None:
    trained_version(version.model)
    told = client.get("/api/v1/models/fraud/versions").json()["results"]
    assert [(one["version"], one["feature_set"]) for one in told] == [(2, None), (1, "cards@v1")]
    assert client.get("/api/v1/models/fraud/versions/1").json()["feature_set"] == "cards@v1"


def test_a_training_hands_its_feature_set_to_the_registry(pinned: FeatureSet) -> None:
    model = make_model()
    new = NewVersion(
        algorithm="xgboost", parameters={}, metrics={}, signature={}, lineage={},
        bundle_path="nowhere", bundle_digest="0", training_job="1", feature_set=pinned,
    )  # fmt: skip
    made = registry.register_version(model=model, actor=model.owner, new=new)
    assert ModelVersion.objects.get(pk=made.pk).feature_set == pinned
    assert list(pinned.model_versions.all()) == [made]


def test_a_set_that_a_version_pins_is_not_discarded(
    client: APIClient, version: ModelVersion
) -> None:
    answer = client.delete("/api/v1/feature-sets/cards@v1")
    assert answer.status_code == 409
    assert "model version fraud v1" in answer.json()["detail"]
    assert FeatureSet.objects.exists()


def test_a_view_version_that_a_model_stands_on_is_not_discarded(
    client: APIClient, version: ModelVersion
) -> None:
    answer = client.delete("/api/v1/feature-views/spent/versions/1")
    assert answer.status_code == 409
    told = "spent@v1 is pinned by feature set cards@v1 (used by model version fraud v1"
    assert told in answer.json()["detail"]
    assert FeatureViewVersion.objects.filter(number=1).exists()


def test_lineage_reaches_from_the_stream_to_the_deployment(
    client: APIClient, version: ModelVersion
) -> None:
    trained_version(version.model)  # pins nothing: it does not depend on the stream
    assert client.post("/api/v1/models/fraud/deploy", {"version": 1}).status_code == 201
    told = client.get("/api/v1/feature-sets/cards@v1/lineage").json()
    names = {node["id"]: node["name"] for node in told["nodes"]}
    assert [(names[low], names[high]) for low, high in told["edges"]] == [
        ("payments", "spent@v1"),
        ("spent@v1", "cards@v1"),
        ("cards@v1", "fraud v1"),
        ("fraud v1", "fraud v1 (active)"),
    ]
