"""Celery's doors to the training work."""

from celery import shared_task
from django.conf import settings

from training import jobs


@shared_task(
    soft_time_limit=settings.TRAINING.job_timeout, time_limit=settings.TRAINING.job_timeout + 60
)
def train(job_id: str) -> None:
    jobs.train(job_id)


@shared_task(expires=15)
def requeue_stalled() -> None:
    for job_id in jobs.requeue_stalled():
        train.delay(job_id)  # a second delivery finds the row claimed and leaves it
