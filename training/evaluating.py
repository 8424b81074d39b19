"""A trained version judged again, on a file of its own choosing."""

from typing import Any

import orjson
from django.conf import settings

from aegisml.base import paths
from models_app import bundles
from models_app.errors import BundleRefused
from models_app.ml.calibration import Calibration
from models_app.ml.policy import Policy
from models_app.ml.signature import Signature
from models_app.models import ModelVersion
from training.ml import loading, rescoring
from training.ml.rescoring import Served

FIELD = "dataset_path"


def evaluate(
    version: ModelVersion,
    dataset_path: str,
    *,
    label: str | None = None,
    time: str | None = None,
    alerts_per_day: int = 100,
) -> dict[str, Any]:
    """The version's metrics on a file below the data root (see `training.ml.rescoring`).

    Raises `Invalid` for a path, `TrainingError` for a file that it can't be judged on,
    `BundleRefused` for a version whose files are not those that were registered.
    """
    served = _served(version)
    with (
        paths.open_below(settings.DATA_ROOT, dataset_path, field=FIELD) as file,
        loading.table(
            file,
            name=dataset_path,
            max_bytes=settings.TRAINING.max_dataset_bytes,
            tick=lambda: None,
        ) as table,
    ):
        return rescoring.evaluate(
            served, table, label=label, time=time, alerts_per_day=alerts_per_day
        )


def _served(version: ModelVersion) -> Served:
    _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    try:
        return Served(
            onnx=files["model.onnx"],
            signature=Signature.from_json(orjson.loads(files["signature.json"])),
            calibration=_calibration(files.get("calibration.json")),
            policy=Policy(**orjson.loads(files["policy.json"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(f"it can't be loaded ({error})") from error


def _calibration(content: bytes | None) -> Calibration:
    """Versions of older releases have none."""
    return Calibration.from_json(orjson.loads(content)) if content else Calibration()
