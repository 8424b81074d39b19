"""How a study's search goes on from trial to trial, and how it ends."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import optuna
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from aegisml.base import pool
from training import optuna_storage, study_data, trial_runs
from training.choices import OPEN_TRIALS, Phase, StudyStatus, TrialStatus
from training.ml import searching
from training.ml.allocation import Tried, next_algorithm
from training.models import MAX_TRIALS, Study, Trial
from training.trial_holding import Limits

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 2  # of one trial: a worker's death is forgiven once
HOPELESS = 3  # trials that fail, with none that doesn't, end a search
TRIAL_SHARE = 4  # a trial of an AutoML study may take this part of its time budget
# what is kept of an AutoML study's time for training the finalists and joining them
_RESERVE_FACTOR, _RESERVE_EACH = 1.5, 10.0
_MOST_RESERVED = 0.5
_TIME_WAS_UP = "The study's time was up."
_RELATED = ("study__model", "study__feature_set__stream")


@dataclass(frozen=True)
class Next:
    """What is to be done in a study after a trial: `trials` wait for workers; the search
    `is_over`, and the study waits for its end."""

    study: str = ""
    trials: tuple[str, ...] = ()
    is_over: bool = False


def begin(study_id: str) -> Next:
    """Start a queued study, and say which trials come first."""
    study = Study.objects.get(pk=study_id)
    if study.begin():
        log.info("study started", study=study_id)
    return go_on(study)


def work(trial_id: str) -> Next:
    """Do this trial to its end; nothing when somebody has it or it isn't wanted any more. Gives
    what comes next in its study."""
    trial = Trial.objects.select_related(*_RELATED).get(pk=trial_id)
    limits = _limits(trial.study)
    if limits.search > 0 and trial.claim(worker=f"{socket.gethostname()}:{os.getpid()}"):
        with pool.held():  # a stop of the worker hands the trial back, instead of losing it
            trial_runs.run(trial, limits)
    return go_on(trial.study)


def go_on(study: Study) -> Next:
    """Queue trials as long as the study wants more, or end its search."""
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study.pk)
        queued = _queue(study)
        is_idle = not study.trials.open().exists()
    began = study.status != StudyStatus.QUEUED and study.started_at is not None
    if began and is_idle and study.searched_at is None:
        try:
            _end(study)
        except SQLAlchemyError as error:  # the next look may find the database again
            log.warning("search not ended", study=str(study.pk), error=type(error).__name__)
    is_over = study.status == StudyStatus.RUNNING and study.searched_at is not None
    return Next(str(study.pk), tuple(queued), is_over=is_over)


def recover() -> list[Next]:
    """Give trials whose worker vanished back to the queue, and go on with studies that nobody
    goes on with; Optuna hears what became of them."""
    requeued = [trial for trial in Trial.objects.stalled().select_related("study") if _taken(trial)]
    found = [begin(str(study.pk)) for study in Study.objects.forgotten()]
    found += [go_on(study) for study in Study.objects.unsearched()]
    forgotten = list(Trial.objects.forgotten())
    again = [trial.pk for trial in (*requeued, *forgotten)]
    Trial.objects.filter(pk__in=again).update(announced_at=timezone.now())
    found.append(Next(trials=tuple(str(pk) for pk in again)))
    for study in Study.objects.unsearched().filter(status=StudyStatus.RUNNING):
        with suppress(SQLAlchemyError):  # the next look may find the database again
            _follow(study)
    return found


def _taken(trial: Trial) -> bool:
    """Take a trial from a worker that vanished; True when it waits for another now."""
    if trial.study.status != StudyStatus.RUNNING:
        trial.give_up(TrialStatus.CANCELLED)
    elif trial.attempts >= MAX_ATTEMPTS:
        text = f"The worker died {trial.attempts} times with this trial."
        trial.give_up(TrialStatus.FAILED, error=text)
    else:
        return trial.requeue()
    return False


def search_ends(study: Study) -> datetime | None:
    """When the time for trials is up; of an AutoML study some is left for its end."""
    deadline = study.deadline
    if deadline is None or not study.is_automl or study.time_budget_seconds is None:
        return deadline
    best = study.finalists()
    needed = sum(_RESERVE_FACTOR * (t.seconds or 0) + _RESERVE_EACH for t in best)
    most = _MOST_RESERVED * study.time_budget_seconds
    return deadline - timedelta(seconds=min(needed, most))


def _limits(study: Study) -> Limits:
    most = float(settings.TRAINING.job_timeout)
    ends = search_ends(study)
    if study.is_automl and study.time_budget_seconds is not None:
        most = min(most, study.time_budget_seconds / TRIAL_SHARE)
    left = (ends - timezone.now()).total_seconds() if ends else float("inf")
    return Limits(search=left, trial=most)


def _queue(study: Study) -> list[str]:
    """Queue as many trials as the study's workers can take; gives their ids."""
    if study.status != StudyStatus.RUNNING or study.phase != Phase.SEARCH:
        _drop(study)
        return []
    ends = search_ends(study)
    if ends is not None and timezone.now() >= ends:
        _drop(study, error=_TIME_WAS_UP)
        return []
    made: list[str] = []
    trials = list(study.trials.all())
    while sum(not trial.is_finished for trial in trials) < study.workers:
        algorithm = None if _has_enough(study, trials) else _next(study, trials)
        if algorithm is None:
            break
        trial = Trial.objects.create(study=study, number=len(trials), algorithm=algorithm)
        trials.append(trial)
        made.append(str(trial.pk))
    return made


def _has_enough(study: Study, trials: Sequence[Trial]) -> bool:
    if len(trials) >= min(study.trials_wanted or MAX_TRIALS, MAX_TRIALS):
        return True
    failed = sum(trial.status == TrialStatus.FAILED for trial in trials)
    ended = sum(trial.is_finished for trial in trials)
    return failed == ended >= HOPELESS


def _next(study: Study, trials: Sequence[Trial]) -> str | None:
    tried = [
        Tried(
            trial.algorithm,
            is_open=not trial.is_finished,
            value=trial.value,
            seconds=trial.seconds or 0.0,
        )
        for trial in trials
    ]
    return next_algorithm(study.algorithms, tried)


def _drop(study: Study, *, error: str = "") -> None:
    """Take trials that no worker has taken from the queue."""
    queued = study.trials.filter(status=TrialStatus.QUEUED)
    queued.update(status=TrialStatus.CANCELLED, finished_at=timezone.now(), error=error)


def _end(study: Study) -> None:
    """Close the search: Optuna knows how every trial ended, the best one is chosen."""
    _follow(study)
    best = study.trials.best()
    Study.objects.filter(pk=study.pk, searched_at=None).update(
        best_trial=best, searched_at=timezone.now()
    )
    study_data.discard(study.pk)
    if study.status == StudyStatus.CANCELLING:
        study.finish(StudyStatus.CANCELLED)
    study.refresh_from_db()
    log.info("search ended", study=str(study.pk), best=best and best.value)


def _follow(study: Study) -> None:
    """Make Optuna agree with the rows: no trial runs there that no worker is at."""
    with optuna_storage.opened() as storage:
        for algorithm in study.algorithms:
            search = optuna_storage.search(storage, study, algorithm)
            _follow_one(study, search)
            _weigh(study, algorithm, search)


def _follow_one(study: Study, search: optuna.Study) -> None:
    rows = {trial.optuna_id: trial for trial in study.trials.exclude(optuna_id=None)}
    going = search.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
    for found in going:
        row = rows.get(found._trial_id)  # noqa: SLF001 - it has no other name
        if row is not None and row.is_finished:
            trial_runs.tell(search, row, found.number)
        elif row is None and _is_lost(study, found):
            search.tell(found.number, state=TrialState.FAIL, skip_if_finished=True)


def _is_lost(study: Study, found: FrozenTrial) -> bool:
    """Whether nobody will note a trial of Optuna's on a row: its worker died in between."""
    if not study.trials.filter(status__in=OPEN_TRIALS).exists() or found.datetime_start is None:
        return True
    age = datetime.now() - found.datetime_start  # noqa: DTZ005 - Optuna writes local times
    return age > timedelta(seconds=settings.TRAINING.lease_seconds)


def _weigh(study: Study, algorithm: str, search: optuna.Study) -> None:
    """Note how much each parameter's choice mattered so far."""
    count = study.trials.ranked().filter(algorithm=algorithm).count()
    if count == study.importance.get(algorithm, {}).get("trials", 0):
        return
    shares = [list(share) for share in searching.importance(search)]
    study.importance = {**study.importance, algorithm: {"trials": count, "shares": shares}}
    Study.objects.filter(pk=study.pk).update(importance=study.importance)
