"""Celery's doors to the platform's regular work."""

from celery import shared_task

from monitoring.jobs import chores


@shared_task
def record_heartbeat() -> None:
    chores.record_heartbeat()


@shared_task
def clear_leftovers() -> None:
    chores.clear_ended_sessions()
    chores.clear_unfinished_bundles()


@shared_task
def check_consistency() -> None:
    from monitoring.jobs import consistency  # noqa: PLC0415 - loads DuckDB

    consistency.check_last_day()
