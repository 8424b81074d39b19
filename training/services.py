"""What people do with training jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import transaction

from aegisml.base import audit, paths
from aegisml.base.errors import Conflict, FieldError, Invalid
from features.models import FeatureSet
from features.services.stretches import stretch_problems
from models_app.models import RegisteredModel
from models_app.services import registry
from training import tasks
from training.ml.reading import SUFFIXES
from training.models import TrainingJob
from training.options import checked

# what a feature set says itself
_OF_FILES = ("label_column", "time_column")
_NAMING_FEATURES = ("exclude_columns", "keep_columns")


@dataclass(frozen=True)
class Source:
    """What to train on: a file below the data root, or the events of a feature set's stream from
    `since` up to, not including, `until`. `stream` may say which one the caller means."""

    dataset_path: str = ""
    feature_set: FeatureSet | None = None
    since: datetime | None = None
    until: datetime | None = None
    stream: str = ""

    def given(self) -> dict[str, Any]:
        """The parts that are there, as requests call them."""
        parts = {
            "dataset_path": self.dataset_path, "feature_set": self.feature_set,
            "stream": self.stream, "from": self.since, "to": self.until,
        }  # fmt: skip
        return {name: value for name, value in parts.items() if value not in (None, "")}


@transaction.atomic
def request_run(  # noqa: PLR0913 - a path is the plain kind of source
    *,
    model: RegisteredModel,
    actor: User,
    dataset_path: str = "",
    source: Source | None = None,
    parameters: Mapping[str, Any] | None = None,
    reason: str = "requested",
) -> TrainingJob:
    """Queue a training of `model` on a file below the data root, or on another `source`.

    `parameters` mixes the pipeline's own (`training.options`) with the
    algorithm's, which override the model's. Raises `Invalid` naming each wrong
    one or the part of the source, `Conflict` for a retired model.
    """
    if model.is_retired:
        raise Conflict(f"Model {model.name} is retired.")
    source = source or Source(dataset_path=dataset_path)
    _refuse_bad_source(source)
    checked_options, hyperparameters = checked(parameters or {})
    if source.feature_set is not None:
        _refuse_strange_options(checked_options, source.feature_set)
    registry.checked_parameters(algorithm=model.algorithm, parameters=hyperparameters)
    job = TrainingJob.objects.create(
        model=model,
        dataset_path=source.dataset_path,
        feature_set=source.feature_set,
        since=source.since,
        until=source.until,
        parameters={**checked_options, **hyperparameters},
        reason=reason[:50],
        requested_by=actor,
    )
    audit.record(actor=actor, row=job, what=f"Queued on {job.source}: {reason}.", flag=ADDITION)
    transaction.on_commit(lambda: tasks.train.delay(str(job.pk)))
    return job


@transaction.atomic
def cancel(*, job: TrainingJob, actor: User, reason: str = "") -> TrainingJob:
    """Stop a queued job at once, a running one at its next step; raises `Conflict` when over."""
    became = job.request_cancel()
    if became is None:
        job.refresh_from_db()
        raise Conflict(f"The job is over: {job.get_status_display().lower()}.")
    audit.record(actor=actor, row=job, what=f"Cancel requested. {reason}".strip())
    job.refresh_from_db()
    return job


def retry(*, job: TrainingJob, actor: User) -> TrainingJob:
    """Queue a new job with the same source and parameters; raises `Conflict` while it is open."""
    if not job.is_finished:
        raise Conflict(f"The job is {job.get_status_display().lower()}; it can't be run again yet.")
    return request_run(
        model=job.model,
        actor=actor,
        source=Source(
            dataset_path=job.dataset_path,
            feature_set=job.feature_set,
            since=job.since,
            until=job.until,
        ),
        parameters=job.parameters,
        reason=f"again, after {job.pk}",
    )


def _refuse_bad_source(source: Source) -> None:
    given = source.given()
    if "dataset_path" in given:
        beside = given.keys() - {"dataset_path"}
        if beside:
            text = "can't be given together with dataset_path: train on one or the other"
            raise Invalid.fields(FieldError(name, text) for name in sorted(beside))
        _refuse_bad_file(source.dataset_path)
    elif given:
        problems = list(_stream_problems(source, given))
        if problems:
            raise Invalid.fields(problems)
    else:
        text = "name a file, or give a feature_set with from and to"
        raise Invalid.field("dataset_path", text)


def _stream_problems(source: Source, given: Mapping[str, Any]) -> Iterable[FieldError]:
    for name in ("feature_set", "from", "to"):
        if name not in given:
            yield FieldError(name, "is required to train on a stream")
    if source.since and source.until:
        yield from stretch_problems(source.since, source.until)
    if source.feature_set and source.stream not in ("", source.feature_set.stream.name):
        text = f"{source.feature_set} is of stream {source.feature_set.stream}"
        yield FieldError("stream", text)


def _refuse_strange_options(chosen: Mapping[str, Any], feature_set: FeatureSet) -> None:
    """Options that don't go with a feature set: its label and time are known, and its columns."""
    problems = [
        FieldError(f"parameters.{name}", "is for files: a feature set has its own")
        for name in _OF_FILES
        if chosen.get(name) is not None
    ]
    known = {name for member in feature_set.members.all() for name in member.names}
    problems += [
        FieldError(f"parameters.{option}", f"{feature_set} has no feature {name!r}")
        for option in _NAMING_FEATURES
        for name in chosen.get(option, [])
        if name not in known
    ]
    if problems:
        raise Invalid.fields(problems)


def _refuse_bad_file(dataset_path: str) -> None:
    if not dataset_path.lower().endswith(SUFFIXES):
        raise Invalid.field("dataset_path", f"must end in {', '.join(SUFFIXES)}")
    settings.DATA_ROOT.mkdir(parents=True, exist_ok=True)
    with paths.open_below(settings.DATA_ROOT, dataset_path, field="dataset_path") as file:
        if not file.read(1):
            raise Invalid.field("dataset_path", "the file is empty")
