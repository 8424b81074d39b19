"""Bodies and addresses that no honest client sends."""

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from tests.factories import api_client

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"
START = b'{"name": "fraud", "algorithm": "xgboost", '


@pytest.fixture
def client() -> APIClient:
    return api_client(roles.ADMIN)


def post(client: APIClient, body: bytes) -> tuple[int, str]:
    answer = client.generic("POST", MODELS, body, content_type="application/json")
    assert answer["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["detail"]


BROKEN = {
    "empty": b"",
    "cut off": b'{"name": ',
    "not JSON": b"name=fraud",
    "a list": b"[]",
    "a text": b'"fraud"',
    "a number": b"1",
    "null": b"null",
    "single quotes": b"{'name': 'fraud'}",
    "two documents": b"{}{}",
    "100,000 brackets open": b"[" * 100_000,
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "1,000 brackets": START + b'"tags": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "40 brackets": START + b'"description": ' + b"[" * 40 + b"]" * 40 + b"}",
    "NaN": START + b'"parameters": {"max_depth": NaN}}',
    "Infinity": START + b'"parameters": {"max_depth": -Infinity}}',
    "1e400": START + b'"parameters": {"max_depth": 1e400}}',
    "a number of 5,000 digits": START + b'"parameters": {"max_depth": ' + b"9" * 5000 + b"}}",
    "NUL": START + b'"description": "a\\u0000b"}',
    "NUL in a key": START + b'"parameters": {"a\\u0000b": 1}}',
    "NUL deep inside": START + b'"tags": [[["\\u0000"]]]}',
    "a lone surrogate": START + b'"description": "\\ud800"}',
    "not UTF-8": START + b'"description": "\xff\xfe"}',
    "a key of a megabyte": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "10,000 keys": b"{" + b",".join(b'"k%d":1' % i for i in range(10_000)) + b"}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_refused_and_stores_nothing(client: APIClient, name: str) -> None:
    code, detail = post(client, BROKEN[name])
    assert code == 400
    assert detail
    assert not RegisteredModel.objects.exists()


def test_a_body_just_within_the_limit_passes_and_one_byte_more_does_not(
    client: APIClient, settings: object
) -> None:
    body = START + b'"description": "x"}'
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body) - 1  # type: ignore[attr-defined]
    assert post(client, body)[0] == 413
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body)  # type: ignore[attr-defined]
    assert client.generic("POST", MODELS, body, "application/json").status_code == 201


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_a_length_that_is_no_number_is_refused(client: APIClient, length: str) -> None:
    answer = client.generic(
        "POST", MODELS, b"{}", content_type="application/json", CONTENT_LENGTH=length
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x"]
)
def test_another_kind_of_body_is_unsupported(client: APIClient, kind: str) -> None:
    assert client.generic("POST", MODELS, b"{}", content_type=kind).status_code == 415


@pytest.mark.parametrize(
    "path",
    ["%00", "a%00b", "%0d%0aX-Evil:1", "x" * 3000, "%ff", "..%2f..%2fetc%2fpasswd", "é", "-1",
     "%F0%9F%92%A9", "00000000-0000-4000-8000-00000000000",
     "{00000000-0000-4000-8000-000000000000}"],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["", "/versions", "/versions/1", "/training-jobs/x"])
def test_a_strange_id_is_not_found(client: APIClient, path: str, rest: str) -> None:
    answer = client.get(f"{MODELS}/{path}{rest}")
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "-1", "1.0", "x"])
def test_a_strange_version_number_is_not_found(client: APIClient, number: str) -> None:
    client.post(MODELS, {"name": "fraud", "algorithm": "xgboost"})
    assert client.get(f"{MODELS}/fraud/versions/{number}").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["page_size=x", "page_size=-1", "page_size=10000000000", "cursor=garbage", "cursor=%00",
     "tier=bogus", "name=%00", "tag=%00", "algorithm=%ff", "retired=perhaps", "unknown=1"],
)  # fmt: skip
def test_a_strange_question_is_no_server_error(client: APIClient, query: str) -> None:
    assert client.get(f"{MODELS}?{query}").status_code in (200, 400, 404)
