"""A version as an MLflow model folder, for tools that read that format."""

import shutil
import tempfile
from pathlib import Path

import orjson
from django.contrib.auth.models import User

from aegisml.base import audit
from aegisml.base.errors import Invalid
from models_app import bundles
from models_app.ml.calibration import Calibration
from models_app.ml.exchange import graphs, mlflow
from models_app.ml.signature import Signature
from models_app.models import ModelVersion

SCORES = ("auroc", "average_precision", "precision", "recall", "f1", "threshold", "intervals")


def export_folder(*, version: ModelVersion, actor: User, folder: Path) -> list[str]:
    """Write the folder, which must not be there yet, whole or not at all; gives its file names.

    The calibration is made a part of the model, so that what MLflow serves are our scores.
    Raises `Invalid` naming "folder", or `BundleRefused`.
    """
    if folder.exists():
        raise Invalid.field("folder", f"{folder} is there already")
    if not folder.parent.is_dir():
        raise Invalid.field("folder", f"{folder.parent} is no folder")
    _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    onnx = graphs.with_calibration(files["model.onnx"], _calibration(files))
    written = mlflow.write(onnx, _described(version, files))
    scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        for name, data in written.items():
            (scratch / name).write_bytes(data)
        scratch.chmod(0o755)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    audit.record(actor=actor, row=version, what=f"Exported as the MLflow folder {folder.name}.")
    return sorted(written)


def _described(version: ModelVersion, files: dict[str, bytes]) -> mlflow.Described:
    signature = Signature.from_json(version.signature)
    return mlflow.Described(
        uuid=version.pk.hex,
        created=version.created_at.replace(tzinfo=None).isoformat(sep=" "),
        width=signature.width,
        told={
            "model": version.model.name,
            "version": version.number,
            "algorithm": version.algorithm,
            "parameters": version.parameters,
            "bundle_digest": version.bundle_digest,
            "signature": signature.to_json(),
            "columns": signature.columns,
            "policy": orjson.loads(files["policy.json"]),
            "metrics": _scores(version),
            "lineage": version.lineage,
        },
    )


def _calibration(files: dict[str, bytes]) -> Calibration:
    content = files.get("calibration.json")
    return Calibration() if content is None else Calibration.from_json(orjson.loads(content))


def _scores(version: ModelVersion) -> dict[str, object]:
    test = version.metrics.get("test") or {}
    return {name: test[name] for name in SCORES if name in test}
