"""What every Django request passes: its id, and a limit on its body."""

from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from aegisml.base import ids
from aegisml.base.api.problems import problem_response
from aegisml.base.errors import Invalid, TooLarge

Handler = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Bind `X-Request-Id` to the log lines and echo it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = ids.request_id(request.headers.get("X-Request-Id"))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
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
        if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return problem_response(TooLarge(too_large()))
        return self.get_response(request)


def too_large() -> str:
    return f"the body is over the limit of {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes"
