"""From a job's row to what the pipeline is asked to do."""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from features.models import FeatureSet
from models_app import bundles
from models_app.ml import algorithms
from models_app.ml.signature import Signature
from training import checkpoints, named, options
from training.ml import columns, split
from training.ml.algorithms.ensemble import Member
from training.ml.request import Evaluation, Request
from training.ml.thresholds import PolicyRequest
from training.models import TrainingJob

LABEL, TIME = "label", "event_time"  # columns of a set that is built from a stream
# the fields and entities of a stream that an evaluation takes when the request names none
AMOUNTS = ("amount", "tx_amount", "transaction_amount", "amt")
ENTITIES = ("card", "customer", "account", "client")


def of(job: TrainingJob, *, dataset_name: str, origin: Mapping[str, Any], scratch: Path) -> Request:
    """The pipeline's request for a claimed job. Raises `Invalid` for parameters that are wrong by
    now, since what is allowed may have changed after they were checked."""
    own, hyperparameters = options.checked(job.parameters)
    chosen = {**options.DEFAULTS, **own}
    return Request(
        model=job.model.name,
        algorithm=job.algorithm,
        dataset_name=dataset_name,
        origin=origin,
        hyperparameters=_hyperparameters(job, hyperparameters),
        choices=_choices(job, chosen),
        split=_split(job, chosen),
        evaluation=evaluation(job),
        policy=PolicyRequest(**chosen["policy"]),
        calibration=chosen["calibration"],
        refit=chosen["refit"],
        overrides=chosen["overrides"],
        members=_members(chosen["members"]),
        checkpoints=checkpoints.JobCheckpoints(job.pk),
        max_bytes=settings.TRAINING.max_dataset_bytes,
        scratch=scratch,
        threads=max(1, (os.cpu_count() or 1) // settings.TRAINING.max_workers),
    )


def evaluation(job: TrainingJob) -> Evaluation:
    """The columns that the job's evaluation looks at; of a stream, the events' own fields."""
    chosen = {**options.DEFAULTS, **job.parameters}
    policy = PolicyRequest(**chosen["policy"])
    amount, entity = chosen["amount_column"], chosen["entity_column"]
    segments, typology = list(chosen["segment_columns"]), chosen["typology_column"]
    if job.feature_set is not None:
        amount = amount or usual_amount(job.feature_set)
        entity = entity or usual_entity(job.feature_set)
        amount, entity, typology, *segments = (
            name and columns.BESIDE + name for name in (amount, entity, typology, *segments)
        )
    return Evaluation(
        amount=amount,
        entity=entity,
        segments=segments,
        typology=typology,
        alerts_per_day=policy.alerts,
        keep_known=chosen["known_entities"] == "keep",
    )


def usual_amount(feature_set: FeatureSet) -> str | None:
    """The stream's field that is a payment's amount by its name."""
    kinds = feature_set.stream.schema.kinds
    found = {name.lower(): name for name, kind in kinds.items() if kind == "numeric"}
    return next((found[name] for name in AMOUNTS if name in found), None)


def usual_entity(feature_set: FeatureSet) -> str | None:
    """The stream's field with the key of the one whose fraud it is."""
    entities = feature_set.stream.schema.entities
    return next((entities[name] for name in ENTITIES if name in entities), None)


def _hyperparameters(job: TrainingJob, given: Mapping[str, Any]) -> dict[str, Any]:
    """The request's, over the model's, over the configured, over the algorithm's defaults."""
    algorithm = job.algorithm
    configured = getattr(settings.TRAINING.algorithms, algorithm).default_params.model_dump()
    own = job.model.parameters if algorithm == job.model.algorithm else {}
    merged = {**algorithms.defaults(algorithm), **configured, **own, **given}
    return dict(algorithms.checked(algorithm, merged))


def _members(names: Iterable[str]) -> dict[str, Member]:
    """The models that an ensemble joins, each with the columns that it takes."""
    found = {}
    for name in names:
        version = named.version_of(name)
        _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
        columns_of = Signature.from_json(version.signature).columns
        found[name] = Member(files["model.onnx"], columns_of)
    return found


def _choices(job: TrainingJob, chosen: Mapping[str, Any]) -> columns.Choices:
    exclude, keep = chosen["exclude_columns"], chosen["keep_columns"]
    if job.feature_set is None:
        return columns.Choices(
            label=chosen["label_column"], time=chosen["time_column"], exclude=exclude, keep=keep
        )
    members = list(job.feature_set.members.select_related("version__view__stream"))
    return columns.Choices(
        label=LABEL,
        time=TIME,
        exclude=exclude,
        keep=keep,
        declared=frozenset(name for member in members for name in member.names),
        sequences={
            found.name: (found.length, len(found.inputs))
            for member in members
            for found in member.version.compiled.sequences
            if found.name in member.names
        },
    )


def _split(job: TrainingJob, chosen: Mapping[str, Any]) -> split.SplitRequest:
    delay, note, least = chosen["label_delay_days"], "as requested", None
    if job.feature_set is not None:
        least = job.feature_set.stream.label_delay_days
        if delay is None:
            delay, note = least, "the stream's label delay"
    moment = chosen["test_from"]
    return split.SplitRequest(
        validation=chosen["validation_split"],
        test=chosen["test_split"],
        test_from=None if moment is None else datetime.fromisoformat(moment).timestamp(),
        at_random=chosen["split"] == "random",
        label_delay_days=delay,
        delay_note=note,
        least_delay_days=least,
        overrides=dict(chosen["overrides"]),
        seed=int(chosen["seed"]),
    )
