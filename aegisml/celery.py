"""The Celery application."""

import os
from typing import Any

from celery import Celery
from celery.signals import heartbeat_sent, setup_logging, worker_process_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegisml.settings")

app = Celery("aegisml")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_queues: list[str] = []


@worker_ready.connect
def _show_queues(sender: Any, **kwargs: Any) -> None:
    """Remember what this worker takes from; its heartbeats tell it."""
    _queues.extend(queue.name for queue in sender.task_consumer.queues)


@heartbeat_sent.connect
def _show_life(sender: Any, **kwargs: Any) -> None:
    """Every two seconds, from the worker's main process: a long task doesn't stop it."""
    from aegisml.base import workers  # noqa: PLC0415 - only the worker needs it, after setup

    workers.record(sender.eventer.hostname, _queues)


@worker_process_init.connect
def _enter_pool(**kwargs: Any) -> None:
    from aegisml.base import pool  # noqa: PLC0415 - only the worker needs it, after setup

    pool.enter()


@setup_logging.connect
def _log_like_the_rest(**kwargs: Any) -> None:
    from django.conf import settings  # noqa: PLC0415 - only the worker needs it, after setup

    from aegisml.base import logs  # noqa: PLC0415

    logs.configure(settings.LOGGING)
