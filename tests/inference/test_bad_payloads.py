"""Wrong requests: a 4xx that names the field, and nothing recorded."""

from typing import Any

import pytest
from django.conf import settings

from inference import journal
from tests.factories import payment

WRONG_FEATURES = [
    ({"amount": "12"}, "features.amount", "number"),
    ({"amount": True}, "features.amount", "boolean"),
    ({"amount": ""}, "features.amount", "text"),
    ({"amount": "NaN"}, "features.amount", "text"),
    ({"amount": [1]}, "features.amount", "list"),
    ({"amount": {}}, "features.amount", "object"),
    ({"amount": 1e300}, "features.amount", "finite"),
    ({"location": 7}, "features.location", "text"),
    ({"location": "moon"}, "features.location", "unknown category 'moon'"),
    ({"weather": "rain"}, "features.weather", "unknown feature"),
]


@pytest.mark.parametrize(("changes", "field", "text"), WRONG_FEATURES)
def test_a_wrong_feature_is_named(predict: Any, changes: Any, field: str, text: str) -> None:
    answer = predict(**changes)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert text in error["message"]
    assert journal.segments(settings.JOURNAL_ROOT) == []


def test_a_missing_feature_is_named(predict: Any) -> None:
    features = payment()
    del features["amount"]
    answer = predict({"features": features})
    assert answer.json()["errors"] == [{"field": "features.amount", "message": "missing feature"}]


def test_an_unknown_category_is_told_the_known_ones(predict: Any) -> None:
    message = predict(location="moon").json()["errors"][0]["message"]
    assert "domestic" in message
    assert "foreign" in message


BROKEN = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b'{"features": {"amount": NaN}}', "not valid JSON"),
    (b'{"features": {"amount": Infinity}}', "not valid JSON"),
    (b'{"features": {"amount": 1e400}}', ""),
    (b"[" * 100_000, "not valid JSON"),
    (b'{"features": {"amount": "\xff"}}', "not valid JSON"),
    (b'{"features": {"location": "\\ud800"}}', "not valid JSON"),
    (b"[]", "body"),
    (b"null", "body"),
    (b"{}", "features"),
    (b'{"features": []}', "features"),
    (b'{"features": {}, "extra": 1}', "extra"),
    (b'{"features": {"location": "a\\u0000b"}}', "NUL"),
]


@pytest.mark.parametrize(("body", "text"), BROKEN)
def test_a_broken_body_is_a_clear_400(
    client: Any, service: Any, version: Any, body: bytes, text: str
) -> None:
    answer = client.generic(
        "POST",
        f"/api/v1/models/{version.model.name}/predict",
        body,
        content_type="application/json",
        headers=service,
    )
    assert answer.status_code == 400
    assert text in answer.json()["detail"]
    assert "Traceback" not in answer.content.decode()


def test_a_body_over_the_limit_is_too_large(client: Any, service: Any, version: Any) -> None:
    body = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    answer = client.generic(
        "POST",
        f"/api/v1/models/{version.model.name}/predict",
        body,
        content_type="application/json",
        headers=service,
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:aegisml:problem:too-large"


def test_a_form_is_not_json(client: Any, service: Any, version: Any) -> None:
    address = f"/api/v1/models/{version.model.name}/predict"
    answer = client.post(address, {"amount": 1}, headers=service)
    assert answer.status_code == 415


@pytest.mark.parametrize("wrong", ["nope", "00000000-0000-0000-0000-000000000000", "%2e%2e"])
def test_an_unknown_model_is_not_found(client: Any, service: Any, wrong: str) -> None:
    answer = client.post(
        f"/api/v1/models/{wrong}/predict",
        {"features": {}},
        content_type="application/json",
        headers=service,
    )
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
