"""What a training may be asked for: its source, its parameters, and whether it is a new wish."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings

from aegisml.base import paths
from aegisml.base.errors import FieldError, Invalid, NotFound
from features.models import FeatureSet
from features.services.stretches import stretch_problems
from models_app.models import RegisteredModel
from models_app.services import registry
from training import fingerprints, named, options
from training.ml.reading import SUFFIXES

ENSEMBLE = "ensemble"
MIN_MEMBERS = 2
# what a feature set says itself
_OF_FILES = ("label_column", "time_column")
_NAMING_FEATURES = ("exclude_columns", "keep_columns")
_NAMING_FIELDS = ("amount_column", "entity_column", "typology_column", "segment_columns")


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


@dataclass(frozen=True)
class Wanted:
    """A training that may be queued: checked parameters, and what its file was.

    `algorithm` is empty for the model's. `digest` is the same for two requests for the same
    thing.
    """

    model: RegisteredModel
    source: Source
    parameters: dict[str, Any]
    fingerprint: dict[str, Any]
    algorithm: str = ""

    @property
    def digest(self) -> str:
        source = self.source
        said = [
            self.model.pk, source.dataset_path, source.feature_set and source.feature_set.pk,
            source.since, source.until, self.parameters, self.algorithm,
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def checked(
    *,
    model: RegisteredModel,
    source: Source,
    parameters: Mapping[str, Any],
    algorithm: str = "",
) -> Wanted:
    """The request, when it can be trained, by the model's algorithm or by another; raises
    `Invalid` naming each wrong part."""
    given = source.given()
    _refuse_bad_source(source, given)
    chosen, hyperparameters = options.checked(parameters)
    if source.feature_set is not None:
        _refuse_strange_options(chosen, source.feature_set)
    _refuse_bad_members(model, algorithm or model.algorithm, chosen)
    hyperparameters = registry.checked_parameters(
        algorithm=algorithm or model.algorithm, parameters=hyperparameters
    )
    print_of_file = _fingerprint(source.dataset_path) if source.dataset_path else {}
    return Wanted(model, source, {**chosen, **hyperparameters}, print_of_file, algorithm)


def _refuse_bad_source(source: Source, given: Mapping[str, Any]) -> None:
    if "dataset_path" in given:
        beside = given.keys() - {"dataset_path"}
        if beside:
            text = "can't be given together with dataset_path: train on one or the other"
            raise Invalid.fields(FieldError(name, text) for name in sorted(beside))
        if not source.dataset_path.lower().endswith(SUFFIXES):
            raise Invalid.field("dataset_path", f"must end in {', '.join(SUFFIXES)}")
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
    features = {name for member in feature_set.members.all() for name in member.names}
    problems += [
        FieldError(f"parameters.{option}", f"{feature_set} has no feature {name!r}")
        for option, name in _named(chosen, _NAMING_FEATURES)
        if name not in features
    ]
    fields = feature_set.stream.schema.by_name
    problems += [
        FieldError(f"parameters.{option}", f"events of {feature_set.stream} have no {name!r}")
        for option, name in _named(chosen, _NAMING_FIELDS)
        if name not in fields
    ]
    if problems:
        raise Invalid.fields(problems)


def _named(chosen: Mapping[str, Any], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each column that the options of these names hold."""
    for option in names:
        value = chosen.get(option) or []
        yield from ((option, name) for name in ([value] if isinstance(value, str) else value))


def _refuse_bad_members(model: RegisteredModel, algorithm: str, chosen: Mapping[str, Any]) -> None:
    members = chosen.get("members", [])
    if algorithm != ENSEMBLE:
        if members:
            text = f"is for ensembles; {model.name} is trained by {algorithm}"
            raise Invalid.field("parameters.members", text)
        return
    if len(members) < MIN_MEMBERS:
        text = f'name at least {MIN_MEMBERS} trained versions, such as "card_fraud@3"'
        raise Invalid.field("parameters.members", text)
    problems = []
    for text in members:
        try:
            found = named.version_of(text)
        except NotFound as error:
            problems.append(FieldError("parameters.members", error.detail))
            continue
        if found.algorithm == ENSEMBLE:
            problems.append(FieldError("parameters.members", f"{found} is an ensemble itself"))
    if problems:
        raise Invalid.fields(problems)


def _fingerprint(dataset_path: str) -> dict[str, Any]:
    settings.DATA_ROOT.mkdir(parents=True, exist_ok=True)
    with paths.open_below(settings.DATA_ROOT, dataset_path, field="dataset_path") as file:
        if not file.read(1):
            raise Invalid.field("dataset_path", "the file is empty")
        return fingerprints.take(file)
