"""Reads of the prediction log that the ORM can't say."""

from datetime import datetime
from uuid import UUID

from django.db import connection


def latency_quantiles(model_id: UUID, since: datetime) -> dict[str, float]:
    """p50, p95 and p99 of a model's latency in milliseconds; the window must hold rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_us)"
            " FROM inference_prediction WHERE model_id = %s AND created_at >= %s",
            [model_id, since],
        )
        found = cursor.fetchone()[0] or (0, 0, 0)
    return {name: value / 1000 for name, value in zip(("p50", "p95", "p99"), found, strict=True)}


def latency_p95(since: datetime) -> float | None:
    """p95 of all models' latency in milliseconds, or None without predictions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_us)"
            " FROM inference_prediction WHERE created_at >= %s",
            [since],
        )
        found = cursor.fetchone()[0]
    return None if found is None else found / 1000
