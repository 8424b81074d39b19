"""Optuna's part of a study: samplers, pruners, distributions, the importance of parameters."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from models_app.ml.algorithms import Value
from training.ml import spaces

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
# A fit is looked at this often, at the same shares of its own rounds: so trials with different
# numbers of trees or epochs are compared when they are equally far.
LOOKS = 10
MIN_FOR_IMPORTANCE = 4  # trials with a value
STARTUP = 10  # trials at random before TPE has enough to learn from
UNPRUNED, _UNPRUNED_LOOKS = 5, 2  # trials, and looks of each trial, before any is pruned


def distributions(algorithm: str, space: spaces.Space) -> dict[str, BaseDistribution]:
    """The space of `spaces.checked` in Optuna's words."""
    return {name: _distribution(algorithm, name, wanted) for name, wanted in space.items()}


def _distribution(algorithm: str, name: str, wanted: spaces.Range) -> BaseDistribution:
    if "choices" in wanted:
        return CategoricalDistribution(wanted["choices"])
    is_whole = spaces.parameter(algorithm, name).kind == "int"
    kind = IntDistribution if is_whole else FloatDistribution
    return kind(wanted["low"], wanted["high"], log=wanted.get("log", False))


def sampler(name: str, *, seed: int, number: int, parallel: bool) -> BaseSampler:
    """The sampler of a study's trial `number`: what it draws depends on the study's seed, the
    number and the trials before, and not on the process that asks."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return RandomSampler(seed=own)
    with _quiet():
        return TPESampler(
            seed=own, n_startup_trials=STARTUP, multivariate=True, constant_liar=parallel
        )


def starting_at(point: Mapping[str, Value], base: BaseSampler) -> BaseSampler:
    """A sampler that gives `point`."""
    with _quiet():
        return PartialFixedSampler(dict(point), base)


def pruner(name: str) -> BasePruner:
    if name == "median":
        return MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=_UNPRUNED_LOOKS)
    if name == "hyperband":
        return HyperbandPruner(min_resource=_UNPRUNED_LOOKS, max_resource=LOOKS)
    return NopPruner()


def importance(study: optuna.Study, *, seed: int = 0) -> list[tuple[str, float]]:
    """How much each parameter's choice moved the value, highest first, by fANOVA (Hutter et al.
    2014); the shares sum to 1. Empty for too few trials, or values that are all the same."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < MIN_FOR_IMPORTANCE or len({trial.value for trial in done}) == 1:
        return []
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return [(name, round(float(share), 4)) for name, share in found.items()]


def ask(
    study: optuna.Study, fixed: dict[str, BaseDistribution]
) -> tuple[optuna.Trial, dict[str, Any]]:
    """A new trial of the study, and its parameters."""
    with _quiet():
        trial = study.ask(fixed)
    return trial, trial.params


def quiet() -> None:
    """Keep Optuna's own log lines out of ours: the rows tell."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def _quiet() -> Iterator[None]:
    """What Optuna calls experimental is pinned with its version, and tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def look_of(done: int, total: int) -> int:
    """At which of LOOKS a fit is after `done` of `total` rounds; 0 before the first."""
    return LOOKS * done // max(1, total)


def best_of(values: Sequence[float]) -> list[float]:
    """The best value so far after each."""
    return [float(value) for value in np.maximum.accumulate(values)] if values else []
