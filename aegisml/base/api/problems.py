"""Errors on the wire: RFC 9457 `application/problem+json`, made in one place."""

from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from aegisml.base import errors

CONTENT_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kind:
    """How one kind of error looks over HTTP."""

    status: int
    name: str
    title: str


KINDS: dict[type[errors.AegisError], Kind] = {
    errors.Invalid: Kind(400, "invalid", "The request is not valid"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "Authentication is needed"),
    errors.Forbidden: Kind(403, "forbidden", "Your role does not allow this"),
    errors.NotFound: Kind(404, "not-found", "Not found"),
    errors.Conflict: Kind(409, "conflict", "The present state does not allow this"),
    errors.TooLarge: Kind(413, "too-large", "The body is too large"),
    errors.Throttled: Kind(429, "throttled", "Too many requests"),
    errors.NotReady: Kind(503, "not-ready", "Not ready"),
    errors.Transient: Kind(503, "not-ready", "Not ready"),
}
INTERNAL = Kind(500, "internal", "Internal error")


def kind_of(error: errors.AegisError) -> Kind:
    return next(KINDS[noun] for noun in type(error).__mro__ if noun in KINDS)


def problem(error: errors.AegisError) -> dict[str, Any]:
    """The body for `error`: type, title, status, detail, request_id, and errors per field."""
    body = _body(kind_of(error), error.detail)
    if error.errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in error.errors]
    return body


def headers(error: errors.AegisError) -> dict[str, str]:
    if isinstance(error, errors.Retryable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="aegisml"'}
    return {}


def internal() -> dict[str, Any]:
    """The body for a bug: it says nothing but where to look."""
    return _body(INTERNAL, "Something went wrong on our side; the log has the request's id.")


def internal_error() -> HttpResponse:
    """The answer to a bug outside DRF; Django has logged its trace."""
    body = internal()
    return HttpResponse(orjson.dumps(body), status=body["status"], content_type=CONTENT_TYPE)


def problem_response(error: errors.AegisError) -> HttpResponse:
    """`error` as a plain Django response, for code outside DRF."""
    body = problem(error)
    return HttpResponse(
        orjson.dumps(body), status=body["status"], content_type=CONTENT_TYPE, headers=headers(error)
    )


def exception_handler(raised: Exception, context: dict[str, Any]) -> Response:
    """DRF's handler: every error of every API view ends here."""
    known = translate(raised)
    if known is None:
        request: HttpRequest = context["request"]
        log.error("unhandled error", path=request.path, method=request.method, exc_info=raised)
        return _response(internal(), {})
    return _response(problem(known), headers(known))


def translate(raised: Exception) -> errors.AegisError | None:
    """The platform's own error for what Django and DRF raise; None for a bug."""
    if isinstance(raised, errors.AegisError):
        return raised
    if isinstance(raised, exceptions.ValidationError):
        return errors.Invalid.fields(_flatten(raised.detail, ""))
    if isinstance(raised, exceptions.APIException):
        return _from_drf(raised)
    if isinstance(raised, Http404):
        return errors.NotFound("There is nothing at this address.")
    if isinstance(raised, DjangoPermissionDenied):
        return errors.Forbidden("Your role does not allow this.")
    if isinstance(raised, RequestDataTooBig):
        return errors.TooLarge("the body is over the limit")
    if isinstance(raised, InterfaceError | DatabaseError) and _unreachable(raised):
        return errors.NotReady("The database is not reachable.", retry_after=2)
    return None


def _from_drf(raised: exceptions.APIException) -> errors.AegisError | None:
    detail = str(raised.detail)
    match raised:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.Unauthenticated(detail)
        case exceptions.PermissionDenied():
            return errors.Forbidden(detail)
        case exceptions.NotFound():
            return errors.NotFound(detail)
        case exceptions.ParseError():
            return errors.Invalid(detail)
        case exceptions.Throttled():
            return errors.Throttled(detail)
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed(detail)
        case exceptions.UnsupportedMediaType() | exceptions.NotAcceptable():
            return UnsupportedMedia(detail)
    return None


class MethodNotAllowed(errors.AegisError):
    """The address exists, the method doesn't."""


class UnsupportedMedia(errors.AegisError):
    """The body's content type can't be read here."""


KINDS[MethodNotAllowed] = Kind(405, "method-not-allowed", "Method not allowed")
KINDS[UnsupportedMedia] = Kind(415, "unsupported-media", "Unsupported media type")


def _unreachable(raised: Exception) -> bool:
    return raised.__class__.__name__ in ("OperationalError", "InterfaceError")


def _flatten(detail: Any, field: str) -> list[errors.FieldError]:
    if isinstance(detail, dict):
        parts = [_flatten(value, _join(field, str(key))) for key, value in detail.items()]
        return [error for part in parts for error in part]
    if isinstance(detail, list):
        if any(isinstance(item, dict | list) for item in detail):
            parts = [_flatten(item, _join(field, str(i))) for i, item in enumerate(detail)]
            return [error for part in parts for error in part]
        return [errors.FieldError(field or "body", " ".join(str(item) for item in detail))]
    return [errors.FieldError(field or "body", str(detail))]


def _join(field: str, key: str) -> str:
    if key == "non_field_errors":
        return field
    return f"{field}.{key}" if field else key


def _body(kind: Kind, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:aegisml:problem:{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


def _response(body: dict[str, Any], extra: dict[str, str]) -> Response:
    return Response(body, status=body["status"], headers=extra, content_type=CONTENT_TYPE)
