"""The Celery application."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegisml.settings")

app = Celery("aegisml")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _log_like_the_rest(**kwargs: Any) -> None:
    from django.conf import settings  # noqa: PLC0415 - only the worker needs it, after setup

    from aegisml.base import logs  # noqa: PLC0415

    logs.configure(settings.LOGGING)
