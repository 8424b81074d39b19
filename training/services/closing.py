"""The end of a study: its best parameters become versions, of AutoML also an ensemble of them."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from aegisml.base import audit
from aegisml.base.errors import AegisError, Invalid
from models_app.models import ModelVersion
from training.choices import JobStatus, Metric, Phase, StudyStatus, TrialStatus
from training.models import Study, TrainingJob
from training.services import jobs, studies
from training.services.asking import ENSEMBLE, MIN_MEMBERS


def advance(*, study_id: str) -> None:
    """Take the next step of a study whose search is over; nothing when it isn't, or when a
    training that it waits for goes on."""
    try:
        with transaction.atomic():
            study = Study.objects.select_for_update().get(pk=study_id)
            if study.status == StudyStatus.RUNNING and study.searched_at is not None:
                _STEPS[Phase(study.phase)](study)
    except AegisError as error:  # what was asked for can't be trained any more
        field = error.errors[0].field if error.errors else ""
        study.finish(StudyStatus.FAILED, error=error.detail, error_field=field)


def waiting() -> list[str]:
    """The ids of studies that wait for their end."""
    going = Study.objects.filter(status=StudyStatus.RUNNING, searched_at__isnull=False)
    return [str(pk) for pk in going.values_list("pk", flat=True)]


def _train_finalists(study: Study) -> None:
    finalists = study.finalists()
    if not finalists:
        study.finish(StudyStatus.FAILED, error=_why_none(study))
        return
    for trial in finalists:
        studies.train(study=study, trial=trial, actor=study.requested_by)
    Study.objects.filter(pk=study.pk).update(phase=Phase.TRAIN)


def _take_versions(study: Study) -> None:
    trained = [trial.job for trial in study.finalists() if trial.job is not None]
    if not all(job.is_finished for job in trained):
        return
    versions = [job.version for job in trained if job.version is not None]
    if not versions:
        job = trained[0]
        error = f"The training of the best trial ended as {job.get_status_display().lower()}"
        study.finish(StudyStatus.FAILED, error=f"{error}: {job.error}", error_field=job.error_field)
        return
    if study.is_automl and len(versions) >= MIN_MEMBERS:
        _join(study, versions)
    else:
        _answer(study, _best(study, versions), _alone(study, trained))


def _join(study: Study, versions: list[ModelVersion]) -> None:
    if not settings.TRAINING.algorithms.ensemble.enabled:
        _answer(study, _best(study, versions), "No ensemble: it is switched off.")
        return
    parameters = {
        **study.parameters,
        "members": [f"{study.model.name}@{v.number}" for v in versions],
    }
    try:
        job = jobs.request_run(
            model=study.model,
            actor=study.requested_by,
            source=studies.source_of(study),
            parameters=parameters,
            algorithm=ENSEMBLE,
            reason=f"ensemble of {study.pk}",
            terms=jobs.Terms(allow_duplicate=True),
        )
    except Invalid as error:
        _answer(study, _best(study, versions), f"No ensemble: {error.detail}")
        return
    pinned = {"fingerprint": study.fingerprint, "mature_at": study.mature_at}
    TrainingJob.objects.filter(pk=job.pk).update(**pinned)
    Study.objects.filter(pk=study.pk).update(phase=Phase.JOIN, ensemble_job=job)


def _compare(study: Study) -> None:
    job = study.ensemble_job
    if job is None or not job.is_finished:
        return
    versions = [t.job.version for t in study.finalists() if t.job and t.job.version]
    best = _best(study, versions)
    if job.version is None:
        why = f"{job.get_status_display().lower()}: {job.error}"
        _answer(study, best, f"No ensemble: its training ended as {why}")
        return
    name, joint, single = _metric(study), _score(study, job.version), _score(study, best)
    won = joint > single
    said = f"{name} on validation rows: {joint:.4f} of the ensemble, {single:.4f} of {best}"
    verdict = f"The ensemble {'won' if won else 'did not win'} ({said})."
    _answer(study, job.version if won else best, verdict)


_STEPS: dict[Phase, Callable[[Study], None]] = {
    Phase.SEARCH: _train_finalists,
    Phase.TRAIN: _take_versions,
    Phase.JOIN: _compare,
}


def _answer(study: Study, version: ModelVersion, verdict: str) -> None:
    study.finish(StudyStatus.SUCCEEDED, version=version, verdict=verdict)
    audit.record(actor=audit.system_user(), row=study, what=f"Answer: {version}. {verdict}".strip())


def _best(study: Study, versions: list[ModelVersion]) -> ModelVersion:
    return max(versions, key=lambda version: _score(study, version))


def _score(study: Study, version: ModelVersion) -> float:
    """The study's metric of a version on validation rows; what a version doesn't keep of them
    is judged by average precision."""
    found: dict[str, Any] = version.metrics.get("validation", {})
    kept = study.metric if study.metric in found else Metric.AVERAGE_PRECISION
    return float(found.get(kept) or 0.0)


def _metric(study: Study) -> str:
    known = (Metric.AVERAGE_PRECISION, Metric.AUROC)
    return (Metric(study.metric) if study.metric in known else known[0]).label


def _alone(study: Study, trained: list[TrainingJob]) -> str:
    if not study.is_automl:
        return ""
    lost = [job for job in trained if job.status != JobStatus.SUCCEEDED]
    more = f" {len(lost)} of its rivals could not be trained." if lost else ""
    return f"No ensemble: there is one version only.{more}"


def _why_none(study: Study) -> str:
    failed = study.trials.filter(status=TrialStatus.FAILED).exclude(error="").last()
    if failed is not None:
        return f"No trial succeeded. Trial {failed.number} failed: {failed.error}"
    took = (timezone.now() - study.started_at).total_seconds() if study.started_at else 0
    return (
        f"No trial came to its end within {took:,.0f} seconds."
        " Give the study more time, or fewer rows."
    )
