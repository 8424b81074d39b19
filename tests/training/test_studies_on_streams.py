"""A study on the events of a stream: the set is built once, for all trials and the version."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from features.models import FeatureSet, Stream
from models_app.models import RegisteredModel
from tests.factories import make_set, make_stream, make_view
from tests.features import history
from tests.training import studying
from tests.training.test_training_on_streams import KEEP
from training import datasets, searches, study_data
from training.models import Study

TUNE = "/api/v1/models/fraud/tune"

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def stream(db: None) -> Stream:
    found = make_stream("payments")
    history.load(found, history.payments())
    return found


@pytest.fixture
def pinned(stream: Stream) -> FeatureSet:
    return make_set(make_view("spent", stream=stream, features=history.FEATURES), name="demo")


@pytest.fixture
def body(pinned: FeatureSet) -> dict[str, Any]:
    return {
        "stream": "payments", "feature_set": "demo@v1", "from": history.iso(0),
        "to": history.iso(75), "trials": 3, "parameters": {**KEEP, "n_estimators": 5},
        "space": {"max_depth": {"low": 1, "high": 4}},
    }  # fmt: skip


def test_the_set_is_built_once_and_the_version_pins_it(
    client: APIClient, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pinned: FeatureSet
) -> None:
    built = []
    build = datasets.build

    def counted(*args: Any) -> dict[str, Any]:
        built.append(args)
        return build(*args)

    monkeypatch.setattr(datasets, "build", counted)
    answer = client.post(TUNE, body)
    assert answer.status_code == 202, answer.text
    study = studying.search(Study.objects.get())
    assert len(built) == 1
    assert set(study.trials.values_list("status", flat=True)) == {"succeeded"}
    assert not study_data.folder_of(study.pk).exists()
    studying.close(study)
    assert study.status == "succeeded", study.error
    assert study.version is not None
    assert study.version.feature_set == pinned
    assert study.version.lineage["dataset"]["mature_at"] == study.mature_at.isoformat()
    told = client.get(answer["Location"]).json()
    assert (told["stream"], told["feature_set"]) == (body["stream"], body["feature_set"])
    assert told["from"] == history.iso(0).replace("+00:00", "Z")


def test_a_stretch_without_events_ends_the_study(client: APIClient, body: dict[str, Any]) -> None:
    stretch = {"from": history.iso(500), "to": history.iso(501)}
    client.post(TUNE, {**body, **stretch})
    study = studying.search(Study.objects.get())
    assert (study.status, study.error_field) == ("failed", "from")
    assert "no event to train on" in study.error


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from": None}, "from"),
        ({"feature_set": "nothing@v1"}, "feature_set"),
        ({"dataset_path": "x.csv"}, "feature_set"),
        ({"parameters": {"label_column": "x"}}, "parameters.label_column"),
    ],
)
def test_a_bad_source_is_refused_by_name(
    client: APIClient, body: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    given = {name: value for name, value in {**body, **changes}.items() if value is not None}
    answer = client.post(TUNE, given)
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}


def test_automl_leaves_out_networks_for_sequences_where_there_are_none(
    client: APIClient, body: dict[str, Any], model: RegisteredModel
) -> None:
    given = {name: body[name] for name in ("feature_set", "from", "to")}
    study = client.post(TUNE, {**given, "automl": True}).json()
    assert "lstm" not in study["algorithms"]
    assert searches.begin(study["id"]).trials
