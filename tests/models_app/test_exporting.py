"""A version leaves as one zip and comes back the same."""

import io
import zipfile
from pathlib import Path

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from inference.loaded import load
from models_app import bundles
from models_app.models import ModelVersion, RegisteredModel
from tests.factories import api_client, make_model, payment, trained_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "patient_database")]
BUNDLE = "/api/v1/models/fraud/versions/1/bundle"


@pytest.fixture
def version() -> ModelVersion:
    return trained_version(make_model("fraud"))


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.OPERATOR)


def export(client: APIClient, address: str = BUNDLE) -> bytes:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.getvalue()


def bring(client: APIClient, model: str, content: bytes, **fields: object) -> dict[str, object]:
    file = io.BytesIO(content)
    file.name = "fraud-v1.zip"
    answer = client.post(
        f"/api/v1/models/{model}/versions/import", {"file": file, **fields}, format="multipart"
    )
    assert answer.status_code == 201, answer.content
    return answer.json()


def scores(version: ModelVersion) -> list[float]:
    loaded = load(version)
    rows = [payment(), payment(amount=900.0, location="foreign"), payment(amount=None)]
    return loaded.score(loaded.signature.encode_rows(rows))


def test_the_zip_holds_the_bundle_and_what_the_registry_knows(
    client: APIClient, version: ModelVersion
) -> None:
    with zipfile.ZipFile(io.BytesIO(export(client))) as archive:
        names = archive.namelist()
        told = orjson.loads(archive.read("version.json"))
        manifest = archive.read("manifest.json")
    assert names == sorted(names)
    assert {"model.onnx", "signature.json", "policy.json", "card.md"} <= set(names)
    assert set(names) <= bundles.FILES | {"manifest.json", "version.json"}
    assert (told["model"], told["version"]) == ("fraud", 1)
    assert told["metrics"] == version.metrics
    assert told["bundle_digest"] == version.bundle_digest
    assert manifest == (version.bundle_folder / "manifest.json").read_bytes()


def test_the_zip_is_the_same_each_time(client: APIClient, version: ModelVersion) -> None:
    assert export(client) == export(client)


def test_who_takes_a_zip_is_recorded(client: APIClient, version: ModelVersion) -> None:
    export(client)
    entry = LogEntry.objects.filter(object_id=str(version.pk)).latest("pk")
    assert entry.change_message.startswith("Exported as a zip, SHA-256 ")
    assert entry.user.groups.get().name == roles.OPERATOR


def test_a_changed_file_does_not_leave(client: APIClient, version: ModelVersion) -> None:
    (version.bundle_folder / "policy.json").write_bytes(b"{}")
    answer = client.get(BUNDLE)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert "policy.json differs" in answer.json()["detail"]


def test_a_zip_brought_into_another_model_is_the_same_version(
    client: APIClient, version: ModelVersion
) -> None:
    make_model("copy")
    body = bring(client, "copy", export(client))
    brought = ModelVersion.objects.get(pk=body["id"])
    assert (body["version"], body["algorithm"]) == (1, "xgboost")
    assert brought.bundle_digest == version.bundle_digest
    assert brought.metrics == version.metrics
    assert scores(brought) == scores(version)
    assert brought.lineage["dataset"] == version.lineage["dataset"]
    imported = brought.lineage["imported"]
    assert (imported["format"], imported["file"]) == ("bundle", "fraud-v1.zip")
    assert imported["from"] == {"model": "fraud", "version": 1, "feature_set": None}
    assert brought.training_job.startswith("import-")
    entry = LogEntry.objects.get(object_id=body["id"])
    assert entry.change_message.startswith("Imported from fraud-v1.zip (bundle, ")
    assert client.post("/api/v1/models/copy/deploy").status_code in (200, 201)
    answer = client.post("/api/v1/models/copy/predict", {"features": payment()})
    assert answer.status_code == 200, answer.content


def test_the_very_bundle_is_not_registered_twice(client: APIClient, version: ModelVersion) -> None:
    file = io.BytesIO(export(client))
    file.name = "again.zip"
    answer = client.post("/api/v1/models/fraud/versions/import", {"file": file}, format="multipart")
    assert answer.status_code == 409
    assert "fraud v1 is this very bundle" in answer.json()["detail"]
    assert load(version)  # whose files the refusal left alone


def test_nothing_is_brought_into_a_retired_model(client: APIClient, version: ModelVersion) -> None:
    content = export(client)
    make_model("old")
    client.delete("/api/v1/models/old")
    file = io.BytesIO(content)
    answer = client.post("/api/v1/models/old/versions/import", {"file": file}, format="multipart")
    assert answer.status_code == 409


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("random_forest", {"n_estimators": 5}),
        ("logistic_regression", {}),
        ("isolation_forest", {"n_estimators": 5}),
        ("neural_network", {"epochs": 1, "hidden_units": 8}),
    ],
)
def test_a_version_of_each_algorithm_comes_back(
    client: APIClient, algorithm: str, parameters: dict[str, object]
) -> None:
    model = make_model("fraud", algorithm=algorithm, parameters=parameters)
    version = trained_version(model)
    make_model("copy", algorithm=algorithm, parameters={})
    body = bring(client, "copy", export(client))
    brought = ModelVersion.objects.get(pk=body["id"])
    assert (brought.algorithm, brought.bundle_digest) == (algorithm, version.bundle_digest)
    assert scores(brought) == scores(version)


def test_commands_do_the_same(version: ModelVersion, tmp_path: Path) -> None:
    make_model("copy")
    target = tmp_path / "fraud.zip"
    call_command("export_version", "fraud@1", str(target))
    call_command("import_version", "copy", str(target))
    brought = RegisteredModel.objects.get(name="copy").versions.get()
    assert brought.bundle_digest == version.bundle_digest


@pytest.mark.parametrize("name", ["fraud", "fraud@", "@1", "fraud@x", "fraud@9", "other@1"])
def test_a_command_names_the_version_that_is_not_there(
    version: ModelVersion, tmp_path: Path, name: str
) -> None:
    with pytest.raises(CommandError, match="version|must be like"):
        call_command("export_version", name, str(tmp_path / "x.zip"))
    assert not (tmp_path / "x.zip").exists()


def test_a_command_overwrites_nothing(version: ModelVersion, tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    with pytest.raises(CommandError, match="exists"):
        call_command("export_version", "fraud@1", str(target))
    assert target.read_text() == "mine"


def test_a_refused_file_ends_the_command_with_a_sentence(
    version: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(CommandError, match="file: is not a whole ONNX model"):
        call_command("import_version", "fraud", str(tmp_path / "junk.onnx"))
