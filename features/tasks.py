"""Celery's doors to the feature store's work."""

from celery import shared_task
from django.conf import settings

from features.jobs import feeding, labelling, runs


@shared_task
def materialize(run_id: str) -> None:
    from features.jobs import materializing  # noqa: PLC0415 - loads pyarrow

    materializing.run(run_id)


@shared_task(
    soft_time_limit=settings.TRAINING.job_timeout, time_limit=settings.TRAINING.job_timeout + 60
)
def build_historical(job_id: str) -> None:
    from features.jobs import historical  # noqa: PLC0415 - loads DuckDB

    historical.run(job_id)


@shared_task(expires=30)
def requeue_historical() -> None:
    from features.jobs import historical  # noqa: PLC0415

    for job_id in historical.due():
        # expires: it is announced again while it waits; a second worker finds it claimed
        build_historical.apply_async((job_id,), expires=60)


@shared_task(expires=15)
def materialize_missing() -> None:
    for run_id in runs.due():
        # expires: it is announced again while it waits; a second worker finds it claimed
        materialize.apply_async((run_id,), expires=60)


@shared_task
def delete_online_state(version_id: str, stream_id: int) -> None:
    runs.clear_stopped(version_id, stream_id)


@shared_task(expires=60)
def refresh_labels() -> None:
    labelling.catch_up()


@shared_task(expires=30)
def feed_waiting() -> None:
    feeding.feed_waiting()


@shared_task(expires=600)
def seal_streams() -> None:
    from features.jobs import sealing  # noqa: PLC0415 - loads pyarrow

    sealing.seal_streams()


@shared_task(expires=3600)
def clear_event_leftovers() -> None:
    from features.jobs import historical, sealing  # noqa: PLC0415

    sealing.clear_leftovers()
    historical.clear_leftovers()


@shared_task(expires=6 * 3600)
def profile_features() -> None:
    from features.jobs import profiling  # noqa: PLC0415 - loads DuckDB

    profiling.profile_yesterday()
