"""Redis for a question or two: a client that gives up after a second."""

import redis
from django.conf import settings


def short_lived() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
