"""A version leaves as a folder in MLflow's documented format."""

import io
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import orjson
import pytest
import yaml
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from aegisml.base.auth import roles
from inference.loaded import load
from models_app.ml.calibration import Calibration
from models_app.ml.exchange import graphs
from models_app.ml.exchange.wishes import Wishes
from models_app.models import ModelVersion
from models_app.services import importing
from tests.factories import make_model, make_user
from tests.models_app import files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "patient_database")]
ROWS = np.asarray([[100, 30, 1], [5, 900, 0], [np.nan, np.nan, np.nan]], np.float32)


@pytest.fixture
def version() -> ModelVersion:
    content = files.logistic(output="both").SerializeToString()
    return importing.import_version(
        model=make_model("risk"),
        actor=make_user(roles.DATA_SCIENTIST),
        incoming=importing.Incoming(
            "risk.onnx", io.BytesIO(content), Wishes(files.COLUMNS, threshold=0.3)
        ),
    )


@pytest.fixture
def folder(version: ModelVersion, tmp_path: Path) -> Path:
    call_command("mlflow_export", "risk@1", str(tmp_path / "out"))
    return tmp_path / "out"


def test_the_folder_has_what_mlflow_s_loaders_read(folder: Path, version: ModelVersion) -> None:
    told = yaml.safe_load((folder / "MLmodel").read_text())
    flavor, python = told["flavors"]["onnx"], told["flavors"]["python_function"]
    assert (flavor["data"], python["loader_module"]) == ("model.onnx", "mlflow.onnx")
    assert {path.name for path in folder.iterdir()} == {
        "MLmodel", "model.onnx", "requirements.txt", *python["env"].values()
    }  # fmt: skip
    assert orjson.loads(told["signature"]["inputs"]) == [
        {"name": "input", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}
    ]
    assert told["model_uuid"] == version.pk.hex
    onnx.checker.check_model(str(folder / "model.onnx"))


def test_the_environments_name_their_packages(folder: Path) -> None:
    pins = (folder / "requirements.txt").read_text().split()
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    python = yaml.safe_load((folder / "python_env.yaml").read_text())
    assert any(pin.startswith("onnxruntime==") for pin in pins)
    assert conda["dependencies"][-1] == {"pip": pins}
    assert python["dependencies"] == ["-r requirements.txt"]


def test_the_metadata_tells_our_lineage(folder: Path, version: ModelVersion) -> None:
    ours = yaml.safe_load((folder / "MLmodel").read_text())["metadata"]["aegisml"]
    assert (ours["model"], ours["version"]) == ("risk", 1)
    assert ours["lineage"] == version.lineage
    assert ours["columns"] == files.COLUMNS
    assert ours["bundle_digest"] == version.bundle_digest


def test_our_own_importer_reads_it_back_the_same(folder: Path, version: ModelVersion) -> None:
    make_model("back")
    call_command("import_version", "back", str(folder))
    back = ModelVersion.objects.get(model__name="back")
    ours, theirs = load(version), load(back)
    assert back.signature == version.signature
    assert theirs.policy == ours.policy
    assert theirs.score(ROWS) == pytest.approx(ours.score(ROWS), abs=1e-7)


def test_the_export_is_recorded(folder: Path, version: ModelVersion) -> None:
    entry = LogEntry.objects.filter(object_id=str(version.pk)).latest("pk")
    assert entry.change_message == "Exported as the MLflow folder out."


def test_a_folder_that_is_there_is_left_alone(folder: Path) -> None:
    with pytest.raises(CommandError, match="there already"):
        call_command("mlflow_export", "risk@1", str(folder))


def test_a_folder_nowhere_is_refused(version: ModelVersion, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no folder"):
        call_command("mlflow_export", "risk@1", str(tmp_path / "a" / "b"))


@pytest.mark.parametrize(
    "curve",
    [
        Calibration("isotonic", (0.0, 0.1, 0.5, 1.0), (0.0, 0.0, 0.8, 0.9)),
        Calibration("platt", (1e-7, 0.25, 1 - 1e-7), (0.01, 0.02, 0.99)),
        Calibration("isotonic", (0.3, 0.4), (0.2, 0.6)),
        Calibration(),
    ],
)
def test_calibration_becomes_a_part_of_the_model(curve: Calibration) -> None:
    found = graphs.foreign(files.logistic(output="both").SerializeToString())
    plain = graphs.in_our_layout(found, shape=(1, 2))
    both = [
        ort.InferenceSession(model).run(["probabilities"], {"input": ROWS})[0]
        for model in (plain, graphs.with_calibration(plain, curve))
    ]
    assert both[1][:, 1] == pytest.approx(curve.apply(both[0][:, 1]), abs=1e-6)
    assert both[1].sum(axis=1) == pytest.approx(1)
