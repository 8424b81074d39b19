"""Which view versions are to be built online, and the runs that do it."""

from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from features.choices import OPEN_RUN, OnlineState, RunStatus
from features.models import FeatureViewVersion, MaterializeRun
from features.online import state

RETRY_AFTER = timedelta(seconds=60)


def request(version: FeatureViewVersion, *, reason: str) -> MaterializeRun:
    """The version's open run, made if there is none."""
    open_runs = MaterializeRun.objects.filter(version=version, status__in=OPEN_RUN)
    found = open_runs.first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return MaterializeRun.objects.create(version=version, reason=reason[:200])
    except IntegrityError:  # somebody else was quicker
        return open_runs.get()


def due() -> list[str]:
    """Request a run for each live version whose state Redis has lost or never had.

    Gives the ids of the runs that wait for a worker. Raises `redis.RedisError`.
    """
    for version in incomplete():
        if state.completed_in(version.pk) is None:
            FeatureViewVersion.objects.filter(pk=version.pk, online=OnlineState.READY).update(
                online=OnlineState.BUILDING
            )
        if not _failed_just_now(version):
            lost = version.online == OnlineState.READY
            request(version, reason="Redis lost its state" if lost else "not built yet")
    return [str(pk) for pk in MaterializeRun.objects.unattended().values_list("pk", flat=True)]


def incomplete() -> list[FeatureViewVersion]:
    """Live versions whose state isn't known to be complete in the Redis that runs now.

    Raises `redis.RedisError`.
    """
    process = state.process_id()
    versions = FeatureViewVersion.objects.live().exclude(view__entity=None)
    return [
        version
        for version in versions.select_related("view__stream").order_by("view__name", "number")
        if version.online == OnlineState.BUILDING or state.completed_in(version.pk) != process
    ]


def clear_stopped(version_id: str, stream_id: int) -> None:
    """Delete the state of a version that isn't live. Raises `redis.RedisError`."""
    if not FeatureViewVersion.objects.live().filter(pk=version_id).exists():
        state.delete_version_state(UUID(version_id), stream_id)


def _failed_just_now(version: FeatureViewVersion) -> bool:
    since = timezone.now() - RETRY_AFTER
    failed = version.materialize_runs.filter(status=RunStatus.FAILED, finished_at__gte=since)
    return failed.exists()
