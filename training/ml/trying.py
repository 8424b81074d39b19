"""One trial of a study: fit on the training rows, measure on the validation rows.

The test rows are never encoded, fitted, scored or looked at: they are for the version that a
study ends with.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from sklearn.metrics import average_precision_score, roc_auc_score

from training.ml import algorithms, judging, preparing
from training.ml import metrics as measures
from training.ml.algorithms.contract import Context, Fitted, Watcher
from training.ml.errors import TrainingError
from training.ml.preparing import Ready
from training.ml.request import Reporter, Request

FITS_FROM, FITS_TO = 20, 95  # percent of a trial


class Unusable(Exception):
    """The rows can't be searched on, with whatever parameters; `cause` says why."""

    def __init__(self, cause: TrainingError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True)
class Outcome:
    """What a trial found. `value` is the study's metric on the validation rows."""

    value: float
    rounds: int


def run(  # noqa: PLR0913 - the rows and their digest are one thing
    request: Request,
    table: pa.Table,
    digest: str,
    *,
    metric: str,
    report: Reporter,
    watch: Watcher,
) -> Outcome:
    """Fit `request` on `table`, whose file has this SHA-256. `watch` is told of each round.

    Raises `Unusable` for rows that no trial can use, `TrainingError` for parameters that they
    can't be fitted with, and whatever `report` and `watch` raise.
    """
    algorithm = algorithms.load(request.algorithm)
    try:
        ready = preparing.prepare(request, algorithm, digest, table, report)
        _refuse_unlabelled(ready)
        measure = _measure(metric, ready)
    except TrainingError as error:
        raise Unusable(error) from error
    report.step("fit", FITS_FROM)
    context = Context(
        seed=request.split.seed,
        threads=request.threads,
        signature=ready.signature,
        watch=watch,
        members=request.members,
    )
    fitted = algorithm.fit(ready.train, ready.validation, request.hyperparameters, context)
    report.step("measure", FITS_TO)
    return Outcome(value=measure(fitted), rounds=fitted.rounds)


def _refuse_unlabelled(ready: Ready) -> None:
    if ready.validation.labels is None:
        raise TrainingError(
            "label_column", "a study compares trials by labels, and these rows have none"
        )


def _measure(metric: str, ready: Ready) -> Callable[[Fitted], float]:
    """The metric of a fitted model on the validation rows."""
    labels = ready.validation.truth
    if metric == "card_precision_at_100":
        beside = ready.beside(ready.parts.validation)
        if beside.seconds is None or beside.entities is None:
            raise TrainingError(
                "metric",
                "card precision needs the time of each row and the card or customer that it is"
                " of: name time_column and entity_column, or choose another metric",
            )
        return lambda fitted: float(
            measures.card_precision(labels, judging.scores_of(fitted, ready.validation), beside)
            or 0.0
        )
    score = roc_auc_score if metric == "auroc" else average_precision_score
    return lambda fitted: float(score(labels, judging.scores_of(fitted, ready.validation)))
