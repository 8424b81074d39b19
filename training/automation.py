"""What the platform does by itself, through the same services as people: an edge like the API.

These are Celery tasks too, but above the services, where `training.tasks` lies below them.
"""

from celery import shared_task

from training import tasks
from training.services import closing


@shared_task(expires=30)
def close_study(study_id: str) -> None:
    """Take the next step of a study whose search is over."""
    closing.advance(study_id=study_id)


@shared_task(expires=15)
def look_after_studies() -> None:
    """Find trials that lost their worker and studies that wait for somebody to go on."""
    from training import searches  # noqa: PLC0415 - as in `training.tasks`

    for found in searches.recover():
        tasks.announce(found)
    for study_id in closing.waiting():
        closing.advance(study_id=study_id)
