"""A version in memory, ready to answer."""

from dataclasses import dataclass, replace

import orjson

from inference import events
from inference.ml.scorer import Scorer
from models_app import bundles
from models_app.errors import BundleRefused
from models_app.ml.calibration import Calibration
from models_app.ml.policy import Policy
from models_app.ml.signature import Matrix, Signature
from models_app.models import ModelVersion


@dataclass(frozen=True)
class Loaded:
    """Everything that an answer needs of a version; nothing of it touches the database.

    `reader` is there when the version pins a feature set: it takes raw events.
    """

    model_id: str
    model_name: str
    version_id: str
    version: int
    signature: Signature
    policy: Policy
    scorer: Scorer
    calibration: Calibration = Calibration()
    reader: events.Reader | None = None

    def score(self, matrix: Matrix) -> list[float]:
        """Calibrated probabilities of fraud, one a row of `matrix` (n, width)."""
        raw = self.scorer.score(matrix)
        if len(raw) == 1:
            return [self.calibration.apply_one(float(raw[0]))]
        return self.calibration.apply(raw).tolist()


def load(version: ModelVersion) -> Loaded:
    """Read a version's bundle, check its hashes and warm its scorer.

    Raises `BundleRefused` when a file is missing, changed or unusable.
    """
    _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    try:
        signature = Signature.from_json(orjson.loads(files["signature.json"]))
        policy = Policy(**orjson.loads(files["policy.json"]))
        scorer = Scorer(files["model.onnx"], width=signature.width)
        calibration = _calibration(files.get("calibration.json"))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(f"it can't be loaded ({error})") from error
    return Loaded(
        model_id=str(version.model_id),
        model_name=version.model.name,
        version_id=str(version.pk),
        version=version.number,
        signature=signature,
        policy=policy,
        scorer=scorer,
        calibration=calibration,
        reader=_reader(version, signature),
    )


def _calibration(content: bytes | None) -> Calibration:
    """Versions that were trained before there was one have none."""
    return Calibration() if content is None else Calibration.from_json(orjson.loads(content))


def renewed(loaded: Loaded, version: ModelVersion) -> Loaded:
    """`loaded`, the same version, by the rules that its stream has now."""
    pinned = version.feature_set
    if loaded.reader is None or pinned is None:
        return loaded
    if loaded.reader.rules_of == pinned.stream.updated_at:
        return loaded
    return replace(loaded, reader=_reader(version, loaded.signature))


def _reader(version: ModelVersion, signature: Signature) -> events.Reader | None:
    pinned = version.feature_set
    return None if pinned is None else events.Reader.of(pinned, signature)
