"""Celery's doors to the training work.

The jobs are imported where they run: the web processes queue trainings and
need not load the training libraries, which take seconds and 100 MB.
"""

from celery import shared_task
from django.conf import settings


@shared_task(
    soft_time_limit=settings.TRAINING.job_timeout, time_limit=settings.TRAINING.job_timeout + 60
)
def train(job_id: str) -> None:
    from training import jobs  # noqa: PLC0415

    jobs.train(job_id)


@shared_task(expires=15)
def requeue_stalled() -> None:
    from training import jobs  # noqa: PLC0415

    for job_id in jobs.requeue_stalled():
        train.delay(job_id)  # a second delivery finds the row claimed and leaves it


@shared_task(expires=3600)
def clear_leftovers() -> None:
    from training import jobs  # noqa: PLC0415

    jobs.clear_leftovers()
