"""What people do with studies, and what is done in their name when a search is over."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from aegisml.base import audit
from aegisml.base.errors import Conflict, Invalid
from models_app.models import RegisteredModel
from training import tasks
from training.choices import StudyStatus, TrialStatus
from training.models import Study, TrainingJob, Trial
from training.services import asking, jobs, planning
from training.services.asking import Source
from training.services.jobs import Terms
from training.services.planning import Plan

__all__ = ["Plan", "Source", "cancel", "request_study", "train_best"]

MAX_REASON = 200


def request_study(  # noqa: PLR0913 - what, how, and who why
    *,
    model: RegisteredModel,
    actor: User,
    source: Source,
    plan: Plan = Plan(),  # noqa: B008 - frozen
    parameters: Mapping[str, Any] | None = None,
    reason: str = "requested",
    terms: Terms = Terms(),  # noqa: B008 - frozen
) -> Study:
    """Queue a search for the parameters that are best for `model` on `source`.

    `parameters` are what all trials have in common. Raises `Invalid` naming each wrong part;
    `Conflict` for a retired model, and for a key that another request had. Of `terms`,
    `idempotency_key` and `announce` count.
    """
    if model.is_retired:
        raise Conflict(f"Model {model.name} is retired.")
    jobs.refuse_bad_key(terms.idempotency_key)
    if not 0 < len(reason) <= MAX_REASON:
        raise Invalid.field("reason", f"needs 1 to {MAX_REASON} characters")
    given = parameters or {}
    fields = planning.settled(plan, model=model, feature_set=source.feature_set, parameters=given)
    wanted = asking.checked(
        model=model, source=source, parameters=given, algorithm=fields["algorithms"][0]
    )
    fields |= {"parameters": wanted.parameters, "fingerprint": wanted.fingerprint}
    digest = _digest(wanted, fields)
    known = _of_key(digest, actor, terms)
    if known is not None:
        return known
    try:
        return _queue(model, actor, source, {**fields, "request_digest": digest}, reason, terms)
    except IntegrityError:  # another request with this key came between the look and the row
        known = _of_key(digest, actor, terms)
        if known is not None:
            return known
        raise


@transaction.atomic
def cancel(*, study: Study, actor: User, reason: str = "") -> Study:
    """Stop a queued study at once, the trials and trainings of a running one within two seconds;
    raises `Conflict` when it is over."""
    became = study.request_cancel()
    study.refresh_from_db()
    if became is None:
        raise Conflict(f"The study is over: {study.get_status_display().lower()}.")
    audit.record(actor=actor, row=study, what=f"Cancel requested. {reason}".strip())
    for job in _trainings(study):
        if not job.is_finished:
            jobs.cancel(job=job, actor=actor, reason=f"With study {study.pk}.")
    if study.searched_at is not None:
        study.finish(StudyStatus.CANCELLED)  # no trial is there that would end it
    elif became == StudyStatus.CANCELLING:
        transaction.on_commit(lambda: tasks.begin_study.delay(str(study.pk)))
    return study


@transaction.atomic
def train_best(*, study: Study, actor: User) -> TrainingJob:
    """Queue the training of a version with the best parameters of a study that ended without.

    Raises `Conflict` while the study goes on, when no trial has a value, or when that training
    is there already.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    if not study.is_finished or (study.started_at and not study.searched_at):
        raise Conflict("The study goes on; it trains the best by itself.")
    best = study.trials.best()
    if best is None:
        raise Conflict("No trial of this study has a value.")
    if best.job is not None and (best.job.version_id or not best.job.is_finished):
        raise Conflict(f"Job {best.job.pk} trains the best parameters already.")
    job = train(study=study, trial=best, actor=actor)
    audit.record(actor=actor, row=study, what=f"Training of trial {best.number}: job {job.pk}.")
    return job


def train(*, study: Study, trial: Trial, actor: User) -> TrainingJob:
    """Queue the training of a version with a trial's parameters, on the study's very rows."""
    job = jobs.request_run(
        model=study.model,
        actor=actor,
        source=source_of(study),
        parameters={**study.parameters, **trial.parameters},
        algorithm=trial.algorithm,
        reason=f"best of study {study.pk}",
        terms=Terms(allow_duplicate=True),
    )
    pinned = {"fingerprint": study.fingerprint, "mature_at": study.mature_at}
    TrainingJob.objects.filter(pk=job.pk).update(**pinned)
    Trial.objects.filter(pk=trial.pk).update(job=job)
    return job


def source_of(study: Study) -> Source:
    return Source(
        dataset_path=study.dataset_path,
        feature_set=study.feature_set,
        since=study.since,
        until=study.until,
    )


def _trainings(study: Study) -> list[TrainingJob]:
    """The jobs that the study asked for."""
    trials = study.trials.filter(status=TrialStatus.SUCCEEDED, job__isnull=False)
    found = [trial.job for trial in trials.select_related("job__model") if trial.job]
    return [*found, study.ensemble_job] if study.ensemble_job else found


@transaction.atomic
def _queue(  # noqa: PLR0913 - the row's parts
    model: RegisteredModel,
    actor: User,
    source: Source,
    fields: Mapping[str, Any],
    reason: str,
    terms: Terms,
) -> Study:
    study = Study.objects.create(
        model=model,
        dataset_path=source.dataset_path,
        feature_set=source.feature_set,
        since=source.since,
        until=source.until,
        reason=reason,
        requested_by=actor,
        idempotency_key=terms.idempotency_key,
        **fields,
    )
    what = "AutoML study" if study.is_automl else "Study"
    audit.record(
        actor=actor, row=study, what=f"{what} queued on {study.source}: {reason}.", flag=ADDITION
    )
    if terms.announce:
        transaction.on_commit(lambda: tasks.begin_study.delay(str(study.pk)))
    return study


def _digest(wanted: asking.Wanted, fields: Mapping[str, Any]) -> str:
    said = [wanted.digest, dict(fields)]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _of_key(digest: str, actor: User, terms: Terms) -> Study | None:
    """The study that this key asked for before; raises `Conflict` when that was another one."""
    if not terms.idempotency_key:
        return None
    study = Study.objects.filter(requested_by=actor, idempotency_key=terms.idempotency_key).first()
    if study is not None and study.request_digest != digest:
        raise Conflict(f"This Idempotency-Key came with another request before: study {study.pk}.")
    return study
