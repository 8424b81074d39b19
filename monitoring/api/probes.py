"""Health for balancers and people without a token: states only, no details."""

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from monitoring import components
from monitoring.choices import ComponentState


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers; asks nothing else."""
    return _answer(ComponentState.OK, {})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when predictions can be answered, 503 otherwise."""
    parts = components.readiness()
    return _answer(components.worst(parts), {part.name: part.state for part in parts})


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """The whole platform's state: 200 for ok and degraded, 503 for down."""
    parts = components.check_all()
    return _answer(components.worst(parts), {part.name: part.state for part in parts})


def _answer(status: ComponentState, parts: dict[str, ComponentState]) -> HttpResponse:
    body = orjson.dumps({"status": status, "components": parts})
    code = 503 if status is ComponentState.DOWN else 200
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "2"} if code != 200 else {})  # noqa: PLR2004
    return HttpResponse(body, status=code, content_type="application/json", headers=headers)
