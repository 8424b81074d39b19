"""What a study may be asked for: its algorithms, their spaces, how long and how."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import TextChoices

from aegisml.base.errors import FieldError, Invalid
from features.models import FeatureSet
from models_app.choices import Algorithm
from models_app.ml.algorithms import ParameterError
from models_app.models import RegisteredModel
from training import options
from training.choices import Metric, Pruner, Sampler
from training.ml import spaces
from training.models import MAX_TRIALS
from training.services.asking import ENSEMBLE

SECONDS = (5, 7 * 24 * 3600)
DEFAULT_TRIALS = 30
DEFAULT_AUTOML_SECONDS = 900
# what searches for fraud without labels is not among what AutoML compares
_NOT_AUTOMATIC = (Algorithm.ISOLATION_FOREST, Algorithm.ENSEMBLE)


@dataclass(frozen=True)
class Plan:
    """How to search. Without `algorithms` it is the model's, or of AutoML all that learn from
    labels and suit the data; without `space` the defaults of `training.ml.spaces`.

    `space` is by parameter; of several algorithms, by algorithm and then by parameter.
    """

    algorithms: tuple[str, ...] = ()
    is_automl: bool = False
    space: Mapping[str, Any] | None = None
    metric: str = Metric.AVERAGE_PRECISION
    sampler: str = Sampler.TPE
    pruner: str = Pruner.MEDIAN
    trials: int | None = None
    time_budget_seconds: int | None = None
    workers: int = 1


def settled(
    plan: Plan,
    *,
    model: RegisteredModel,
    feature_set: FeatureSet | None,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """The study's fields that `plan` stands for, nothing left open. Raises `Invalid` naming each
    wrong part of the plan."""
    algorithms = _algorithms(plan, model, feature_set)
    is_automl = plan.is_automl or len(algorithms) > 1
    problems = [*_wrong_words(plan), *_wrong_numbers(plan, algorithms)]
    if is_automl:
        problems += _not_for_automl(parameters)
    if problems:
        raise Invalid.fields(problems)
    trials, seconds = plan.trials, plan.time_budget_seconds
    if trials is None and seconds is None:
        trials = None if is_automl else DEFAULT_TRIALS
        seconds = DEFAULT_AUTOML_SECONDS if is_automl else None
    return {
        "algorithms": algorithms,
        "is_automl": is_automl,
        "space": _spaces(plan.space, algorithms, parameters, is_automl=is_automl),
        "metric": str(plan.metric),
        "sampler": str(plan.sampler),
        "pruner": str(plan.pruner),
        "trials_wanted": trials,
        "time_budget_seconds": seconds,
        "workers": plan.workers,
    }


def suitable(feature_set: FeatureSet | None) -> list[str]:
    """The algorithms that AutoML compares on a feature set, or on a file."""
    configured = settings.TRAINING.algorithms
    found = [
        name
        for name in Algorithm.values
        if name not in _NOT_AUTOMATIC and getattr(configured, name).enabled
    ]
    return found if _has_sequences(feature_set) else [n for n in found if n != Algorithm.LSTM]


def _has_sequences(feature_set: FeatureSet | None) -> bool:
    if feature_set is None:
        return False
    members = feature_set.members.select_related("version__view__stream")
    return any(
        found.name in member.names
        for member in members
        for found in member.version.compiled.sequences
    )


def _algorithms(plan: Plan, model: RegisteredModel, feature_set: FeatureSet | None) -> list[str]:
    if not plan.algorithms:
        algorithms = suitable(feature_set) if plan.is_automl else [str(model.algorithm)]
    else:
        algorithms = [str(name) for name in plan.algorithms]
    configured = settings.TRAINING.algorithms
    known = [n for n in Algorithm.values if n != ENSEMBLE and getattr(configured, n).enabled]
    strange = [name for name in algorithms if name not in known]
    if strange:
        text = f"{strange[0][:60]!r} is not to be tuned; choose from: {', '.join(known)}"
        raise Invalid.field("algorithms", text)
    if len(set(algorithms)) < len(algorithms):
        raise Invalid.field("algorithms", "name an algorithm twice")
    return algorithms


def _wrong_words(plan: Plan) -> Iterator[FieldError]:
    chosen: tuple[tuple[str, str, type[TextChoices]], ...] = (
        ("metric", plan.metric, Metric),
        ("sampler", plan.sampler, Sampler),
        ("pruner", plan.pruner, Pruner),
    )
    for name, value, words in chosen:
        if value not in words.values:
            yield FieldError(name, f"must be one of {', '.join(words.values)}")


def _wrong_numbers(plan: Plan, algorithms: list[str]) -> Iterator[FieldError]:
    bounds = {
        "trials": (plan.trials, len(algorithms), MAX_TRIALS),
        "time_budget_seconds": (plan.time_budget_seconds, *SECONDS),
        "workers": (plan.workers, 1, settings.TRAINING.max_workers),
    }
    notes = {
        "trials": ", one for each algorithm at least" if len(algorithms) > 1 else "",
        "workers": " (ml.training.max_workers)",
    }
    for name, (value, low, high) in bounds.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            yield FieldError(name, f"must be {low:,} to {high:,}{notes.get(name, '')}")


def _not_for_automl(parameters: Mapping[str, Any]) -> Iterator[FieldError]:
    for name in parameters:
        if name not in options.DEFAULTS:
            text = "is an algorithm's own; AutoML takes the parameters that all have in common"
            yield FieldError(f"parameters.{name}", text)
    if parameters.get("refit"):
        text = "AutoML joins models on validation rows, which they may not have been fitted on"
        yield FieldError("parameters.refit", text)


def _spaces(
    given: Mapping[str, Any] | None,
    algorithms: list[str],
    parameters: Mapping[str, Any],
    *,
    is_automl: bool,
) -> dict[str, spaces.Space]:
    if given is None:
        given = {}
    elif not isinstance(given, Mapping) or not given:
        raise Invalid.field("space", "must name a parameter at least, or be left out")
    elif not is_automl:
        given = {algorithms[0]: given}
    strange = [str(name)[:60] for name in given if name not in algorithms]
    if strange:
        text = f"is not among the study's algorithms: {', '.join(algorithms)}"
        raise Invalid.field(f"space.{strange[0]}", text)
    return {
        name: _space(name, given.get(name), parameters, f"space.{name}" if is_automl else "space")
        for name in algorithms
    }


def _space(algorithm: str, given: Any, parameters: Mapping[str, Any], field: str) -> spaces.Space:
    if given is None:
        default = spaces.DEFAULT_SPACES[algorithm]
        space = {name: wanted for name, wanted in default.items() if name not in parameters}
    elif not isinstance(given, Mapping):
        raise Invalid.field(field, "must be an object of parameters")
    else:
        space = _checked(algorithm, given, field)
    fixed = [name for name in space if name in parameters]
    if fixed:
        text = "is fixed in parameters: give it there or here"
        raise Invalid.field(f"{field}.{fixed[0]}", text)
    if not space:
        raise Invalid.field(field, "parameters fix all that the default space would vary")
    return space


def _checked(algorithm: str, given: Mapping[str, Any], field: str) -> spaces.Space:
    try:
        return spaces.checked(algorithm, given)
    except ParameterError as error:
        found = [FieldError(f"{field}.{name}", text) for name, text in error.problems.items()]
        raise Invalid.fields(found) from None
