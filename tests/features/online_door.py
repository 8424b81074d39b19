"""How the tests of the online store talk to it: through the API and the commands."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from django.core.management import call_command
from rest_framework.test import APIClient

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONLINE = "/api/v1/features/online"


def ago(**duration: float) -> str:
    """A moment before `NOON`, as it is sent."""
    return (NOON - timedelta(**duration)).isoformat()


def send(client: APIClient, stream: Any, *events: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/api/v1/events/{stream.name}", {"events": list(events)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def materialize(*names: str, **options: Any) -> str:
    out = StringIO()
    call_command("materialize", *names, stdout=out, **options)
    return out.getvalue()


def ask(client: APIClient, feature_set: Any, **wanted: Any) -> dict[str, Any]:
    """What the API answers for one request; at `NOON` unless the event tells."""
    if "event" not in wanted:
        wanted.setdefault("at", NOON.isoformat())
    answer = client.post(ONLINE, {"feature_set": str(feature_set), **wanted})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def values(client: APIClient, feature_set: Any, **wanted: Any) -> dict[str, Any]:
    """The features' values alone; by default customer c1's."""
    if "event" not in wanted:
        wanted.setdefault("entities", {"customer": "c1"})
    features = ask(client, feature_set, **wanted)["features"]
    return {name: feature["value"] for name, feature in features.items()}
