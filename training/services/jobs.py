"""What people do with training jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from aegisml.base import audit
from aegisml.base.errors import Conflict, FieldError, Invalid
from models_app.models import RegisteredModel
from training import checkpoints, options, tasks
from training.choices import JobStatus, Priority
from training.models import MAX_KEY, TrainingJob
from training.services import asking
from training.services.asking import Source, Wanted

__all__ = ["Source", "Terms", "cancel", "override", "refuse_bad_key", "request_run", "retry"]


@dataclass(frozen=True)
class Terms:
    """How a training is queued.

    `idempotency_key`: the same key by the same person gives the same job, not another one.
    `allow_duplicate`: although the same training is queued or running. `announce`: tell the
    workers; a command that runs the job itself doesn't.
    """

    priority: Priority = Priority.NORMAL
    idempotency_key: str = ""
    allow_duplicate: bool = False
    announce: bool = True


def request_run(  # noqa: PLR0913 - a path is the plain kind of source
    *,
    model: RegisteredModel,
    actor: User,
    dataset_path: str = "",
    source: Source | None = None,
    parameters: Mapping[str, Any] | None = None,
    algorithm: str = "",
    reason: str = "requested",
    terms: Terms = Terms(),  # noqa: B008 - frozen
) -> TrainingJob:
    """Queue a training of `model` on a file below the data root, or on another `source`.

    `parameters` mixes the pipeline's own (`training.options`) with the
    algorithm's, which override the model's; `algorithm` is another than the
    model's, for this job alone. Raises `Invalid` naming each wrong parameter
    or the part of the source; `Conflict` for a retired model, for the same
    training that is open already, and for a key that another request had.
    """
    if model.is_retired:
        raise Conflict(f"Model {model.name} is retired.")
    refuse_bad_key(terms.idempotency_key)
    source = source or Source(dataset_path=dataset_path)
    wanted = asking.checked(
        model=model, source=source, parameters=parameters or {}, algorithm=algorithm
    )
    known = _of_key(wanted, actor, terms)
    if known is not None:
        return known
    try:
        return _queue(wanted, actor, reason, terms)
    except IntegrityError:  # another request came between the look and the row
        known = _of_key(wanted, actor, terms)
        if known is not None:
            return known
        _refuse_twin(wanted)
        raise


@transaction.atomic
def cancel(*, job: TrainingJob, actor: User, reason: str = "") -> TrainingJob:
    """Stop a queued job at once, a running one within two seconds; raises `Conflict` when over."""
    became = job.request_cancel()
    if became is None:
        job.refresh_from_db()
        raise Conflict(f"The job is over: {job.get_status_display().lower()}.")
    audit.record(actor=actor, row=job, what=f"Cancel requested. {reason}".strip())
    job.refresh_from_db()
    if became == JobStatus.CANCELLED:  # what an attempt before left
        transaction.on_commit(lambda: checkpoints.discard(job.pk))
    return job


def retry(*, job: TrainingJob, actor: User, terms: Terms | None = None) -> TrainingJob:
    """Queue a new job with the same source and parameters; raises `Conflict` while it is open."""
    if not job.is_finished:
        raise Conflict(f"The job is {job.get_status_display().lower()}; it can't be run again yet.")
    return _again(job, actor, job.parameters, f"again, after {job.pk}", terms)


def override(
    *, job: TrainingJob, actor: User, reason: str, terms: Terms | None = None
) -> TrainingJob:
    """Queue a new job that lets pass what this one stopped for, with the reason on record.

    Raises `Conflict` when the job didn't stop for anything that a reason lets pass, `Invalid`
    for a reason that is too short or long.
    """
    kinds = sorted({found["kind"] for found in job.leaks})
    if job.status != JobStatus.LEAK_SUSPECTED or not kinds:
        raise Conflict(
            f"The job is {job.get_status_display().lower()}: there is nothing to override."
        )
    if not 0 < len(reason.strip()) <= options.MAX_REASON:
        raise Invalid.field("reason", f"needs 1 to {options.MAX_REASON} characters")
    before = job.parameters.get("overrides", {})
    overrides = {**before, **dict.fromkeys(kinds, reason.strip())}
    parameters = {**job.parameters, "overrides": overrides}
    again = _again(job, actor, parameters, f"override of {job.pk}", terms)
    audit.record(
        actor=actor, row=again, what=f"Overrides {', '.join(kinds)} of job {job.pk}: {reason}"
    )
    return again


def _again(
    job: TrainingJob, actor: User, parameters: Mapping[str, Any], reason: str, terms: Terms | None
) -> TrainingJob:
    source = Source(
        dataset_path=job.dataset_path,
        feature_set=job.feature_set,
        since=job.since,
        until=job.until,
    )
    return request_run(
        model=job.model,
        actor=actor,
        source=source,
        parameters=parameters,
        algorithm=job.chosen_algorithm,
        reason=reason,
        terms=terms or Terms(priority=Priority(job.priority)),
    )


@transaction.atomic
def _queue(wanted: Wanted, actor: User, reason: str, terms: Terms) -> TrainingJob:
    if not terms.allow_duplicate:
        _refuse_twin(wanted)
    source = wanted.source
    job = TrainingJob.objects.create(
        model=wanted.model,
        dataset_path=source.dataset_path,
        fingerprint=wanted.fingerprint,
        feature_set=source.feature_set,
        since=source.since,
        until=source.until,
        chosen_algorithm=wanted.algorithm,
        parameters=wanted.parameters,
        reason=reason[:50],
        requested_by=actor,
        priority=terms.priority,
        request_digest=wanted.digest,
        is_duplicate=terms.allow_duplicate,
        idempotency_key=terms.idempotency_key,
    )
    audit.record(actor=actor, row=job, what=f"Queued on {job.source}: {reason}.", flag=ADDITION)
    if terms.announce:
        transaction.on_commit(lambda: tasks.train.delay(str(job.pk)))
    return job


def _refuse_twin(wanted: Wanted) -> None:
    twin = TrainingJob.objects.open().filter(request_digest=wanted.digest).first()
    if twin is not None:
        state = twin.get_status_display().lower()
        raise Conflict(
            f"Job {twin.pk} for the same training is {state}. Follow that one, cancel it, or allow"
            " a duplicate."
        )


def _of_key(wanted: Wanted, actor: User, terms: Terms) -> TrainingJob | None:
    """The job that this key asked for before; raises `Conflict` when that was another request."""
    if not terms.idempotency_key:
        return None
    job = TrainingJob.objects.filter(
        requested_by=actor, idempotency_key=terms.idempotency_key
    ).first()
    if job is None:
        return None
    asked = (wanted.digest, terms.priority, terms.allow_duplicate)
    if asked != (job.request_digest, job.priority, job.is_duplicate):
        raise Conflict(f"This Idempotency-Key came with another request before: job {job.pk}.")
    return job


def refuse_bad_key(key: str) -> None:
    """Raises `Invalid` for an idempotency key that can't be kept; an empty one is none."""
    if key and (len(key) > MAX_KEY or not key.isascii() or not key.isprintable()):
        text = f"must be 1 to {MAX_KEY} printable ASCII characters"
        raise Invalid.fields([FieldError("Idempotency-Key", text)])
