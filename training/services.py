"""What people do with training jobs."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.db import transaction

from aegisml.base import audit, paths
from aegisml.base.errors import Conflict, Invalid
from models_app.models import RegisteredModel
from models_app.services import registry
from training import tasks
from training.ml.reading import SUFFIXES
from training.models import TrainingJob
from training.options import checked


@transaction.atomic
def request_run(
    *,
    model: RegisteredModel,
    actor: User,
    dataset_path: str,
    parameters: Mapping[str, Any] | None = None,
    reason: str = "requested",
) -> TrainingJob:
    """Queue a training of `model` on a file below the data root.

    `parameters` mixes the pipeline's own (`training.options`) with the
    algorithm's, which override the model's. Raises `Invalid` naming each wrong
    one or the path, `Conflict` for a retired model.
    """
    if model.is_retired:
        raise Conflict(f"Model {model.name} is retired.")
    _refuse_bad_file(dataset_path)
    checked_options, hyperparameters = checked(parameters or {})
    registry.checked_parameters(algorithm=model.algorithm, parameters=hyperparameters)
    job = TrainingJob.objects.create(
        model=model,
        dataset_path=dataset_path,
        parameters={**checked_options, **hyperparameters},
        reason=reason[:50],
        requested_by=actor,
    )
    audit.record(actor=actor, row=job, what=f"Queued on {dataset_path}: {reason}.", flag=ADDITION)
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
    """Queue a new job with the same file and parameters; raises `Conflict` while it is open."""
    if not job.is_finished:
        raise Conflict(f"The job is {job.get_status_display().lower()}; it can't be run again yet.")
    return request_run(
        model=job.model,
        actor=actor,
        dataset_path=job.dataset_path,
        parameters=job.parameters,
        reason=f"again, after {job.pk}",
    )


def _refuse_bad_file(dataset_path: str) -> None:
    if not dataset_path.lower().endswith(SUFFIXES):
        raise Invalid.field("dataset_path", f"must end in {', '.join(SUFFIXES)}")
    settings.DATA_ROOT.mkdir(parents=True, exist_ok=True)
    with paths.open_below(settings.DATA_ROOT, dataset_path, field="dataset_path") as file:
        if not file.read(1):
            raise Invalid.field("dataset_path", "the file is empty")
