"""The hot routes over HTTP, without a framework.

`respond` answers `POST /api/v1/models/{id}/predict` and `.../batch-predict`.
Two thin shells call it: `wsgi_shell`, which stands in front of Django on the
production server, and a Django view for the development server, the test
client and the OpenAPI description. Both walk the same guards.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from aegisml.base import ids
from aegisml.base.api import problems
from aegisml.base.auth import tokens
from aegisml.base.errors import AegisError, Invalid, NotReady, TooLarge
from aegisml.base.middleware import too_large
from inference import scoring, telemetry

log = structlog.get_logger(__name__)

_ROUTE = re.compile(r"/api/v1/models/([^/]{1,100})/(predict|batch-predict)")
_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
_JSON = "application/json"
_SHAPES = {  # by whether it is about a single row: features given, or raw events
    True: (scoring.FEATURES, scoring.EVENT),
    False: (scoring.INSTANCES, scoring.EVENTS),
}


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


def claims(method: str, path: str) -> bool:
    """Whether `respond` answers this request."""
    return method == "POST" and path.endswith("predict") and _ROUTE.fullmatch(path) is not None


def respond(path: str, headers: Mapping[str, str], read_body: Callable[[], bytes]) -> HttpAnswer:
    """Answer a request that `claims` accepted. `headers` has lower-case names.

    Every error becomes a problem+json; nothing is raised.
    """
    started = time.perf_counter()
    request_id = ids.request_id(headers.get("x-request-id"))
    try:
        body = _answer(path, headers, read_body, request_id, started)
        return HttpAnswer(200, _headers(_JSON, request_id), body)
    except AegisError as error:
        return _refusal(error, request_id)
    except (DatabaseError, InterfaceError):  # only a cold path can get here
        return _refusal(NotReady("The database is not reachable.", retry_after=2), request_id)
    except Exception:  # noqa: BLE001 - the door: a bug must become a 500 with the request's id
        log.exception("unhandled error", path=path, request_id=request_id)
        return _problem(problems.internal(), {}, request_id)


def _answer(
    path: str,
    headers: Mapping[str, str],
    read_body: Callable[[], bytes],
    request_id: str,
    started: float,
) -> bytes:
    match = _ROUTE.fullmatch(path)
    assert match is not None  # noqa: S101 - `claims` matched it
    model_key, verb = match.groups()
    identity = tokens.identify(headers.get("authorization"))
    scoring.authorize(identity)
    single = verb == "predict"
    payload = _parse(headers, read_body())
    shape = _shape(payload, single=single)
    answer = scoring.predict(
        model_key=model_key,
        rows=_rows(payload[shape.field], shape),
        shape=shape,
        identity=identity,
        request_id=request_id,
        started=started,
    )
    return orjson.dumps(_single(answer) if single else _batch(answer))


def _parse(headers: Mapping[str, str], body: bytes) -> Any:
    kind = headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind != _JSON:
        raise problems.UnsupportedMedia(f"Send {_JSON}, not {kind[:100]!r}.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The body is not valid JSON: {error}") from None


def _shape(payload: Any, *, single: bool) -> scoring.Shape:
    """Which of its two shapes a body has; raises `Invalid` when it is neither."""
    given, raw = _SHAPES[single]
    if not isinstance(payload, dict):
        raise Invalid.field("body", f"must be an object with the field {given.field!r}")
    shape = raw if raw.field in payload else given
    for name in payload:
        if name != shape.field:
            both = f"give it or {shape.field!r}, not both"
            raise Invalid.field(name[:100], both if name == given.field else "unknown field")
    if shape.field not in payload:
        raise Invalid.field(shape.field, f"this field is required; or send {raw.field!r}")
    return shape


def _rows(value: Any, shape: scoring.Shape) -> list[dict[str, Any]]:
    field = shape.field
    rows = value if shape.is_list else [value]
    if not isinstance(rows, list):
        raise Invalid.field(field, "must be a list of objects")
    limit = settings.INFERENCE.max_batch_rows
    if not 1 <= len(rows) <= limit:
        raise Invalid.field(field, f"must hold 1 to {limit:,} rows, not {len(rows):,}")
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Invalid.field(shape.place(i), "must be an object of names and values")
        if not shape.are_events and _holds_nul(row):  # an event's own check names the field
            raise Invalid.field(shape.place(i), "text may not hold a NUL character")
    return rows


def _holds_nul(row: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and "\x00" in value for value in row.values())


def _single(answer: scoring.Answer) -> dict[str, Any]:
    row = answer.rows[0]
    return {
        "prediction_id": row.prediction_id,
        "model": answer.model,
        "version": answer.version,
        "score": row.score,
        "decision": row.decision,
        "threshold": answer.threshold,
        "latency_ms": answer.latency_ms,
    }


def _batch(answer: scoring.Answer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "version": answer.version,
        "threshold": answer.threshold,
        "count": len(answer.rows),
        "latency_ms": answer.latency_ms,
        "predictions": answer.rows,
    }


def _refusal(error: AegisError, request_id: str) -> HttpAnswer:
    kind = problems.kind_of(error)
    telemetry.REFUSED.labels(kind.name).inc()
    return _problem(problems.problem(error), problems.headers(error), request_id)


def _problem(problem: dict[str, Any], extra: dict[str, str], request_id: str) -> HttpAnswer:
    headers = _headers(problems.CONTENT_TYPE, request_id) | extra
    return HttpAnswer(
        problem["status"], headers, orjson.dumps(problem | {"request_id": request_id})
    )


def _headers(kind: str, request_id: str) -> dict[str, str]:
    return {
        "Content-Type": kind,
        "X-Request-Id": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def wsgi_shell(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a WSGI request that `claims` accepted."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    answer = respond(environ["PATH_INFO"], headers, lambda: _read(environ))
    close_old_connections()
    start_response(
        f"{answer.status} {_REASONS[answer.status]}",
        [*answer.headers.items(), ("Content-Length", str(len(answer.body)))],
    )
    return [answer.body]


def _read(environ: dict[str, Any]) -> bytes:
    """The body, never more than the limit, whatever Content-Length says or whether it is there."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = environ.get("CONTENT_LENGTH") or ""
    if length and not length.isdecimal():
        raise Invalid.field("Content-Length", "must be a whole number")
    if length and int(length) > limit:
        raise TooLarge(too_large())
    body: bytes = environ["wsgi.input"].read(int(length) if length else limit + 1)
    if len(body) > limit:
        raise TooLarge(too_large())
    return body
