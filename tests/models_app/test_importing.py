"""Models from elsewhere become versions: ONNX, XGBoost and MLflow."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from django.core.management import call_command
from onnx import TensorProto
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from inference.loaded import Loaded, load
from inference.ml.scorer import Scorer
from models_app import bundles
from models_app.ml.exchange import intake
from models_app.ml.exchange.wishes import Wishes
from models_app.models import ModelVersion, RegisteredModel
from tests import factories
from tests.models_app import files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "patient_database")]
IMPORT = "/api/v1/models/fraud/versions/import"
SIGNATURE = orjson.dumps(files.COLUMNS).decode()
ROW = {"amount": 120.0, "age_days": 30.0, "is_night": 1.0}


@pytest.fixture
def model() -> RegisteredModel:
    return factories.make_model("fraud")


@pytest.fixture
def client(model: RegisteredModel) -> APIClient:
    return factories.api_client(roles.DATA_SCIENTIST)


def bring(client: APIClient, content: bytes, name: str = "model.onnx", **fields: Any) -> Any:
    file = io.BytesIO(content)
    file.name = name
    answer = client.post(IMPORT, {"file": file, **fields}, format="multipart")
    assert answer.status_code == 201, answer.content
    return answer.json()


def loaded(body: dict[str, Any]) -> Loaded:
    return load(ModelVersion.objects.get(pk=body["id"]))


@pytest.mark.parametrize("output", ["column", "flat", "both"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_an_onnx_model_of_any_layout_scores_as_it_did(output: str, kind: int) -> None:
    content = io.BytesIO(files.logistic(output=output, kind=kind).SerializeToString())
    limits = intake.Limits(names=bundles.FILES)
    taken = intake.take_in(content, Wishes(files.COLUMNS), limits)  # what the child runs
    rows = np.asarray([[120, 30, 1], [5, 900, 0], [np.nan, 2, 1]], np.float32)
    scores = Scorer(taken.files["model.onnx"], width=3).score(rows)
    assert scores == pytest.approx(files.expected(rows), abs=1e-6)


def test_an_imported_version_answers_payments(client: APIClient) -> None:
    body = bring(client, files.logistic().SerializeToString(), signature=SIGNATURE)
    assert (body["algorithm"], body["version"]) == ("external", 1)
    operator = factories.api_client(roles.OPERATOR)
    assert operator.post("/api/v1/models/fraud/deploy").status_code in (200, 201)
    answer = client.post("/api/v1/models/fraud/predict", {"features": ROW})
    assert answer.status_code == 200, answer.content
    assert answer.json()["score"] == pytest.approx(
        files.expected(np.asarray([list(ROW.values())]))[0], abs=1e-6
    )


def test_its_threshold_is_said_to_be_chosen_on_no_data(client: APIClient) -> None:
    content = files.logistic().SerializeToString()
    body = bring(client, content, signature=SIGNATURE)
    assert body["evidence"]["policy"] == {
        "review": 0.5, "block": None, "rule": "review from 0.5 by default; not chosen on data"
    }  # fmt: skip
    told = bring(client, content, signature=SIGNATURE, threshold=0.25)["evidence"]["policy"]
    assert (told["review"], told["rule"].partition(";")[2]) == (0.25, " not chosen on data")


def test_the_lineage_tells_the_file_and_what_was_changed(client: APIClient) -> None:
    content = files.logistic().SerializeToString()
    imported = bring(client, content, "risk.onnx", signature=SIGNATURE)["lineage"]["imported"]
    assert (imported["file"], imported["format"]) == ("risk.onnx", "onnx")
    assert "Its one score a row was taken as the probability of fraud." in imported["notes"]


def test_a_card_says_that_nobody_measured_it(client: APIClient) -> None:
    bring(client, files.logistic().SerializeToString(), signature=SIGNATURE)
    card = client.get("/api/v1/models/fraud/versions/1/card")
    assert card["Content-Type"] == "text/markdown; charset=utf-8"
    assert "Nothing here measured it" in card.content.decode()


def test_categories_fill_their_columns(client: APIClient) -> None:
    features = [
        {"name": "amount", "kind": "numeric"},
        {"name": "channel", "kind": "category", "levels": ["shop"], "open": True},
    ]
    signature = orjson.dumps({"features": features}).decode()
    body = bring(client, files.logistic().SerializeToString(), signature=signature)
    score = loaded(body)
    row = score.signature.encode_rows([{"amount": 100.0, "channel": "web"}])
    assert row.tolist() == [[100.0, 0.0, 1.0]]
    assert score.score(row) == pytest.approx(files.expected(row), abs=1e-6)


@pytest.mark.parametrize("form", ["ubj", "json"])
def test_xgboost_names_its_columns_itself(client: APIClient, form: str) -> None:
    booster = files.booster()
    body = bring(client, bytes(booster.save_raw(form)), f"model.{form}")
    assert (body["algorithm"], body["parameters"]) == ("xgboost", {"n_estimators": 8})
    assert [f["name"] for f in body["signature"]["features"]] == files.COLUMNS
    assert body["metrics"]["parity_max_difference"] <= 1e-5
    rows = np.asarray([[0.3, np.nan, 1], [-2, 0.5, np.nan]], np.float32)
    booster.feature_names = None
    assert loaded(body).score(rows) == pytest.approx(booster.inplace_predict(rows), abs=1e-5)
    assert "model.ubj" in [file["name"] for file in body["evidence"]["files"]]


def test_xgboost_without_names_asks_for_them(client: APIClient) -> None:
    content = bytes(files.booster(names=None).save_raw("ubj"))
    body = bring(client, content, "model.ubj", signature=SIGNATURE)
    assert [f["name"] for f in body["signature"]["features"]] == files.COLUMNS


def test_mlflow_s_onnx_folder_is_taken_as_a_zip(client: APIClient) -> None:
    content = files.zipped(
        {
            "risk/MLmodel": files.mlmodel({"onnx": {"data": "model.onnx"}}),
            "risk/model.onnx": files.logistic().SerializeToString(),
            "risk/conda.yaml": b"name: x",
        }
    )
    body = bring(client, content, "risk.zip", signature=SIGNATURE)
    assert (body["algorithm"], body["lineage"]["imported"]["format"]) == ("external", "mlflow")


def test_mlflow_s_columns_become_features(client: APIClient) -> None:
    columns = [
        {"name": "amount", "type": "double"},
        {"name": "age_days", "type": "long"},
        {"name": "is_night", "type": "boolean"},
    ]
    flavors = {
        "python_function": {"loader_module": "mlflow.xgboost"},
        "xgboost": {"data": "model.ubj"},
    }
    content = files.zipped(
        {
            "MLmodel": files.mlmodel(flavors, orjson.dumps(columns).decode(), run_id="abc"),
            "model.ubj": bytes(files.booster(names=None).save_raw("ubj")),
        }
    )
    body = bring(client, content, "run.zip")
    kinds = [(f["name"], f["kind"]) for f in body["signature"]["features"]]
    assert kinds == [("amount", "numeric"), ("age_days", "numeric"), ("is_night", "boolean")]
    assert body["lineage"]["imported"]["from"]["mlflow"]["run_id"] == "abc"


def test_the_command_takes_an_mlflow_folder(model: RegisteredModel, tmp_path: Path) -> None:
    folder = tmp_path / "risk"
    folder.mkdir()
    (folder / "MLmodel").write_bytes(files.mlmodel({"onnx": {"data": "model.onnx"}}))
    (folder / "model.onnx").write_bytes(files.logistic().SerializeToString())
    (tmp_path / "signature.json").write_text(SIGNATURE)
    call_command(
        "import_version", "fraud", str(folder), "--signature", str(tmp_path / "signature.json"),
        "--threshold", "0.7",
    )  # fmt: skip
    version = model.versions.get()
    assert (version.algorithm, version.number) == ("external", 1)


def test_a_version_may_be_served_from_a_feature_set(client: APIClient) -> None:
    wanted = [
        {"name": f"spent_{days}d", "aggregate": "sum", "of": "amount", "window": f"{days}d"}
        for days in (1, 7, 30)
    ]
    signature = orjson.dumps([feature["name"] for feature in wanted]).decode()
    factories.make_set(factories.make_view(features=wanted), name="cards")
    content = files.logistic().SerializeToString()
    body = bring(client, content, signature=signature, feature_set="cards@v1")
    assert body["feature_set"] == "cards@v1"


def test_a_feature_set_must_have_every_feature(client: APIClient) -> None:
    factories.make_set(name="cards")
    file = io.BytesIO(files.logistic().SerializeToString())
    fields = {"file": file, "signature": SIGNATURE, "feature_set": "cards@v1"}
    answer = client.post(IMPORT, fields, format="multipart")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "feature_set"
    assert "age_days, amount, is_night" in answer.json()["detail"]
