"""What a training worker does with a trial."""

import math
import time
from contextlib import ExitStack
from typing import Any

import optuna
import structlog
from django.db import InterfaceError, OperationalError
from sqlalchemy.exc import SQLAlchemyError

from training import optuna_storage, requests, study_data, trial_holding, verdicts
from training.choices import StudyStatus, TrialStatus
from training.ml import searching, spaces, trying
from training.ml.algorithms.contract import Round
from training.ml.errors import TrainingError
from training.ml.request import Request
from training.models import Study, Trial
from training.trial_holding import Hold, Limits, Stopped, Wish

log = structlog.get_logger(__name__)

WRITE_EVERY = 0.5  # seconds between two progress writes of the fit
DIGITS = 6
# what a step of the preparation and the fit may be called on the row
_STEP = 40
_HEARD = "validation_ap"


class Pruned(Exception):
    """Other trials were better when they were as far."""


def run(trial: Trial, limits: Limits) -> None:
    """Do a claimed trial to its end, whatever that is, and write it on its row."""
    study = trial.study
    log.info("trial started", study=str(study.pk), number=trial.number, attempt=trial.attempts)

    def end(wish: Wish | None) -> None:
        if wish == Wish.HAND_BACK:
            trial.hand_back()
        else:
            finish(trial, *_of_wish(wish, limits))

    try:
        with (
            trial_holding.kept(trial, limits, end=end) as hold,
            optuna_storage.opened() as storage,
        ):
            search = optuna_storage.search(storage, study, trial.algorithm, number=trial.number)
            _do(trial, hold, search, limits)
    except (OperationalError, InterfaceError, SQLAlchemyError) as error:
        # the database is away: the lease runs out, and the trial is tried once more
        log.warning("trial left", trial=str(trial.pk), error=type(error).__name__)
    log.info("trial ended", study=str(study.pk), number=trial.number)


def finish(trial: Trial, status: TrialStatus | None, values: dict[str, Any]) -> bool:
    """Write how a trial ended; nothing for one that another worker has."""
    return status is not None and trial.finish(status, **values)


def tell(search: optuna.Study, trial: Trial, number: int) -> None:
    """Tell Optuna, who calls the trial `number`, what its row says."""
    states = {
        TrialStatus.SUCCEEDED: optuna.trial.TrialState.COMPLETE,
        TrialStatus.PRUNED: optuna.trial.TrialState.PRUNED,
    }
    state = states.get(TrialStatus(trial.status), optuna.trial.TrialState.FAIL)
    value = trial.value if trial.status == TrialStatus.SUCCEEDED else None
    search.tell(number, value, state=state, skip_if_finished=True)


def _do(trial: Trial, hold: Hold, search: optuna.Study, limits: Limits) -> None:
    """Do the trial, write how it ended on the row, then tell Optuna."""
    asked: optuna.Trial | None = None
    try:
        asked = _asked(trial, search)
        outcome = _outcome(trial, hold, asked)
    except Stopped as stopped:
        if stopped.wish == Wish.HAND_BACK:
            trial.hand_back()
            return
        status, values = _of_wish(stopped.wish, limits)
    except Pruned:
        status, values = TrialStatus.PRUNED, {}
    except trying.Unusable as error:
        status, values = _failed(error.cause)
        _give_up_study(trial.study, error.cause)
    except (OperationalError, InterfaceError, SQLAlchemyError):
        raise
    except Exception as error:
        # the row must not stay "running" for ever, whatever it was
        verdict = verdicts.of(error, source_field="")
        status, values = TrialStatus.FAILED, {"error": verdict.error}
        if not isinstance(error, TrainingError):
            log.exception("trial errored", trial=str(trial.pk), error=type(error).__name__)
    else:
        done = {"value": outcome.value, "rounds": outcome.rounds, "progress": 100, "step": ""}
        status, values = TrialStatus.SUCCEEDED, done
    if finish(trial, status, values) and asked is not None:
        trial.refresh_from_db()
        tell(search, trial, asked.number)


def _of_wish(wish: Wish | None, limits: Limits) -> tuple[TrialStatus | None, dict[str, Any]]:
    if wish is None:
        return None, {}
    if wish == Wish.TOO_LONG:
        text = f"Given up after {limits.trial:,.0f} seconds, the most that one trial may take."
        return TrialStatus.PRUNED, {"error": text}
    texts = {Wish.CANCEL: "", Wish.TIME_IS_UP: "The study's time was up."}
    return TrialStatus.CANCELLED, {"error": texts[wish]}


def _failed(cause: TrainingError) -> tuple[TrialStatus, dict[str, Any]]:
    return TrialStatus.FAILED, {"error": str(cause)}


def _give_up_study(study: Study, cause: TrainingError) -> None:
    """The rows would fail every other trial too."""
    study.finish(StudyStatus.FAILED, error=cause.message, error_field=cause.field)


def _asked(trial: Trial, search: optuna.Study) -> optuna.Trial:
    """Optuna's trial for the row, asked for once: a second attempt takes the same parameters."""
    if trial.optuna_id is not None:
        return optuna.Trial(search, trial.optuna_id)
    study = trial.study
    space = study.space[trial.algorithm]
    if not _is_first(trial):
        sampler = search.sampler
    else:
        fixed = dict(_request(trial, name="", origin={}).hyperparameters)
        sampler = searching.starting_at(spaces.start(trial.algorithm, space, fixed), search.sampler)
    search.sampler = sampler
    asked, parameters = searching.ask(search, searching.distributions(trial.algorithm, space))
    trial.optuna_id, trial.parameters = asked._trial_id, parameters  # noqa: SLF001 - it has no other
    trial.write(optuna_id=trial.optuna_id, parameters=parameters)
    return asked


def _is_first(trial: Trial) -> bool:
    before = trial.study.trials.filter(algorithm=trial.algorithm, number__lt=trial.number)
    return not before.exists()


def _request(trial: Trial, *, name: str, origin: dict[str, Any]) -> Request:
    job = trial.study.training(algorithm=trial.algorithm, parameters=trial.parameters)
    folder = study_data.folder_of(trial.study_id)
    return requests.of(job, dataset_name=name, origin=origin, scratch=folder)


def _outcome(trial: Trial, hold: Hold, asked: optuna.Trial) -> trying.Outcome:
    report = _Reporter(trial, hold)
    with ExitStack() as stack:
        try:
            rows = stack.enter_context(study_data.opened(trial.study, report))
        except TrainingError as error:
            raise trying.Unusable(error) from error
        request = _request(trial, name=rows.name, origin=dict(rows.origin))
        return trying.run(
            request,
            rows.table,
            rows.digest,
            metric=trial.study.metric,
            report=report,
            watch=_Watch(trial, hold, asked),
        )


class _Reporter:
    """What the preparation of a trial tells (`training.ml.request.Reporter`)."""

    def __init__(self, trial: Trial, hold: Hold) -> None:
        self._trial = trial
        self._hold = hold

    def step(self, name: str, percent: int) -> None:
        self._hold.check()
        if not self._trial.write(step=name[:_STEP], progress=percent):
            raise Stopped(None)

    def log(self, line: str) -> None:
        """A hundred trials would say the same; the version's job says it once."""

    def round(self, done: Round, percent: int) -> None:
        self._hold.check()

    def tick(self) -> None:
        self._hold.check()


class _Watch:
    """Told of each round of the fit: shows it on the row, and asks the pruner some times."""

    def __init__(self, trial: Trial, hold: Hold, asked: optuna.Trial) -> None:
        self._trial = trial
        self._hold = hold
        self._asked = asked
        self._curve: list[list[float]] = []
        self._known = set(asked.storage.get_trial(asked._trial_id).intermediate_values)  # noqa: SLF001
        self._prunes = not isinstance(asked.study.pruner, optuna.pruners.NopPruner)
        self._written = 0.0

    def __call__(self, done: Round) -> None:
        self._hold.check()
        look = searching.look_of(done.done, done.total)
        value = done.metrics.get(_HEARD)
        is_new = look > (self._curve[-1][0] if self._curve else 0)
        if value is not None and math.isfinite(value) and is_new:
            self._curve.append([look, round(float(value), DIGITS)])
            self._show(done, curve=self._curve)
            if self._is_hopeless(look, float(value), is_last=done.done >= done.total):
                raise Pruned
        elif time.monotonic() - self._written >= WRITE_EVERY:
            self._show(done)

    def _show(self, done: Round, **values: Any) -> None:
        self._written = time.monotonic()
        width = trying.FITS_TO - trying.FITS_FROM
        progress = trying.FITS_FROM + width * done.done // max(1, done.total)
        step = f"fit: {done.done:,} of {done.total:,}"
        self._trial.write(step=step, progress=progress, **values)

    def _is_hopeless(self, look: int, value: float, *, is_last: bool) -> bool:
        try:
            if look not in self._known:  # an attempt before may have told it
                self._asked.report(value, look)
            return self._prunes and not is_last and self._asked.should_prune()
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            # a report is not worth a fit: while the database is away the work goes on
            log.warning("not reported", trial=str(self._trial.pk), error=type(error).__name__)
            return False
