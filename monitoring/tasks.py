"""Celery's doors to the platform's regular work."""

from celery import shared_task

from monitoring import jobs


@shared_task
def record_heartbeat() -> None:
    jobs.record_heartbeat()


@shared_task
def clear_leftovers() -> None:
    jobs.clear_ended_sessions()
    jobs.clear_unfinished_bundles()
