"""The platform's own regular work."""

import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from aegisml.base.models import ApiSession
from aegisml.base.redis import short_lived
from models_app import bundles
from monitoring import components

KEEP_ENDED_SESSIONS = timedelta(days=30)
KEEP_UNFINISHED = 24 * 3600  # seconds


def record_heartbeat() -> None:
    """Leave the time in Redis: proof that beat schedules and a worker runs."""
    short_lived().set(components.heartbeat_key(), time.time())


def clear_unfinished_bundles() -> int:
    """Delete day-old folders of bundles whose writer was killed; gives how many."""
    return bundles.clear_scratch(Path(settings.ARTIFACT_ROOT), older_than=KEEP_UNFINISHED)


def clear_ended_sessions() -> int:
    """Delete API sessions that ended over 30 days ago; gives how many."""
    deleted, _ = ApiSession.objects.ended(before=KEEP_ENDED_SESSIONS).delete()
    return deleted
