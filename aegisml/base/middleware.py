"""What every Django request passes: its id, and a limit on its body."""

import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from aegisml.base import ids
from aegisml.base.api.problems import problem_response
from aegisml.base.errors import Invalid, TooLarge

Handler = Callable[[HttpRequest], HttpResponse]

PROBES = ("/livez", "/healthz", "/readyz")  # asked every few seconds by machines
log = structlog.get_logger(__name__)


class RequestIdMiddleware:
    """Bind `X-Request-Id` to the log lines, echo it, and log the request (without its query)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = ids.request_id(request.META.get("HTTP_X_REQUEST_ID"))
        request.META["HTTP_X_REQUEST_ID"] = request_id  # whoever asks again gets the same one
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            if request.path not in PROBES:
                log.info(
                    "request",
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )
        response["X-Request-Id"] = request_id
        return response


class BodyLimitMiddleware:
    """Refuse a body over the limit with 413 before anything reads it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            return problem_response(Invalid.field("Content-Length", "must be a whole number"))
        limit = _limit(request.path)
        if int(length) > limit:
            return problem_response(TooLarge(too_large(limit)))
        return self.get_response(request)


def too_large(limit: int | None = None) -> str:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if limit is None else limit
    return f"the body is over the limit of {limit:,} bytes"


def _limit(path: str) -> int:
    own = (limit for end, limit in settings.BODY_LIMITS.items() if path.endswith(end))
    return next(own, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
