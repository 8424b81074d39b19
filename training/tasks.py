"""Celery's doors to the training work.

The jobs are imported where they run: the web processes queue trainings and
need not load the training libraries, which take seconds and 100 MB.
"""

from typing import TYPE_CHECKING

from celery import current_app, shared_task
from django.conf import settings

if TYPE_CHECKING:
    from training.searches import Next

# Later than the limit that a job's keeper holds it to (training.holding).
_SOFT, _HARD = settings.TRAINING.job_timeout + 60, settings.TRAINING.job_timeout + 120


@shared_task(soft_time_limit=_SOFT, time_limit=_HARD)
def train(job_id: str) -> None:
    """Do the most urgent job, which may be another than the one that the message is about: each
    job has a message, and the messages come in the broker's order."""
    from training import jobs  # noqa: PLC0415

    if jobs.work():
        waiting = jobs.waiting()
        if waiting:
            train.delay(waiting)


@shared_task(expires=15)
def requeue_stalled() -> None:
    from training import jobs  # noqa: PLC0415

    for job_id in jobs.requeue_stalled():
        train.delay(job_id)  # a second delivery finds the row claimed and leaves it


@shared_task(expires=3600)
def clear_leftovers() -> None:
    from training import jobs, study_data  # noqa: PLC0415

    jobs.clear_leftovers()
    study_data.clear_leftovers()


@shared_task
def begin_study(study_id: str) -> None:
    """Start a study, or go on with one that somebody told to stop."""
    from training import searches  # noqa: PLC0415

    announce(searches.begin(study_id))


@shared_task(soft_time_limit=_SOFT, time_limit=_HARD)
def run_trial(trial_id: str) -> None:
    """Do a trial; its end brings the next."""
    from training import searches  # noqa: PLC0415

    announce(searches.work(trial_id))


def announce(found: "Next") -> None:
    """Tell the workers what comes next in a study."""
    for trial_id in found.trials:
        run_trial.delay(trial_id)  # a second delivery finds the row claimed and leaves it
    if found.is_over:
        # by its name: it acts through the services, which are above
        current_app.send_task("training.automation.close_study", [found.study])
