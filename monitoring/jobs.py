"""The platform's own regular work."""

import time
from datetime import timedelta

from aegisml.base.models import ApiSession
from monitoring import components

KEEP_ENDED_SESSIONS = timedelta(days=30)


def record_heartbeat() -> None:
    """Leave the time in Redis: proof that beat schedules and a worker runs."""
    components.client().set(components.heartbeat_key(), time.time())


def clear_ended_sessions() -> int:
    """Delete API sessions that ended over 30 days ago; gives how many."""
    deleted, _ = ApiSession.objects.ended(before=KEEP_ENDED_SESSIONS).delete()
    return deleted
