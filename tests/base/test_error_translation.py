"""What Django, DRF and the database raise, as the platform's own errors."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status

from aegisml.base.api import problems


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (Http404("secret"), 404),
        (PermissionDenied("secret"), 403),
        (RequestDataTooBig("secret"), 413),
        (OperationalError("secret"), 503),
        (InterfaceError("secret"), 503),
        (exceptions.NotAuthenticated(), 401),
        (exceptions.AuthenticationFailed(), 401),
        (exceptions.PermissionDenied(), 403),
        (exceptions.NotFound(), 404),
        (exceptions.ParseError(), 400),
        (exceptions.MethodNotAllowed("PUT"), 405),
        (exceptions.NotAcceptable(), 415),
        (exceptions.UnsupportedMediaType("text/plain"), 415),
        (exceptions.Throttled(wait=7.2), 429),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, Exception) else str(case),
)
def test_a_known_error_has_its_status_and_hides_its_text(raised: Exception, code: int) -> None:
    known = problems.translate(raised)
    assert known is not None
    assert problems.problem(known)["status"] == code
    assert "secret" not in known.detail


@pytest.mark.parametrize(
    "raised",
    [RuntimeError(), KeyError("x"), IntegrityError(), DataError(), exceptions.APIException()],
)
def test_anything_else_is_a_bug(raised: Exception) -> None:
    assert problems.translate(raised) is None


@pytest.mark.parametrize(
    ("detail", "fields"),
    [
        ({"name": ["bad"]}, ["name"]),
        ({"tags": {0: ["bad"], 3: ["bad"]}}, ["tags.0", "tags.3"]),
        ({"rows": [{}, {"amount": ["bad"]}]}, ["rows.1.amount"]),
        ({"non_field_errors": ["bad"]}, ["body"]),
        (["bad", "worse"], ["body"]),
        ("bad", ["body"]),
    ],
)
def test_a_field_is_named_by_its_whole_path(detail: Any, fields: list[str]) -> None:
    known = problems.translate(exceptions.ValidationError(detail, status.HTTP_400_BAD_REQUEST))
    assert known is not None
    assert [error.field for error in known.errors] == fields
