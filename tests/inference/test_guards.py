"""Who may ask for a score, at both doors of the hot routes."""

import io
from typing import Any

import orjson
import pytest
from django.conf import settings

from aegisml.base.auth import roles
from inference import edge
from tests.factories import payment

MAY = {roles.SERVICE, roles.DATA_SCIENTIST, roles.OPERATOR, roles.ADMIN}


def through_wsgi(path: str, body: bytes, **extra: Any) -> tuple[int, dict[str, str], Any]:
    """A request as the production server hands it over."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **extra,
    }
    seen: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        seen.update(status=int(status.split(maxsplit=1)[0]), headers=dict(headers))

    answer = b"".join(edge.wsgi_shell(environ, start_response))
    return seen["status"], seen["headers"], orjson.loads(answer)


@pytest.mark.parametrize("role", sorted(roles.ALL))
def test_only_some_roles_may_predict_at_both_doors(
    client: Any, bearer: Any, version: Any, role: str
) -> None:
    headers = bearer(role)
    path = f"/api/v1/models/{version.model.name}/predict"
    body = {"features": payment()}
    expected = 200 if role in MAY else 403
    django = client.post(path, body, content_type="application/json", headers=headers)
    status, _, _ = through_wsgi(
        path, orjson.dumps(body), HTTP_AUTHORIZATION=headers["Authorization"]
    )
    assert (django.status_code, status) == (expected, expected)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "x" * 5000]
)
def test_without_a_good_token_both_doors_stay_shut(
    client: Any, version: Any, header: str | None
) -> None:
    path = f"/api/v1/models/{version.model.name}/predict"
    django = client.post(
        path,
        {},
        content_type="application/json",
        headers={"Authorization": header} if header else {},
    )
    extra = {"HTTP_AUTHORIZATION": header} if header is not None else {}
    status, headers, body = through_wsgi(path, b"{}", **extra)
    assert (django.status_code, status) == (401, 401)
    assert headers["WWW-Authenticate"].startswith("Bearer")
    assert body["type"] == "urn:aegisml:problem:unauthenticated"


def test_both_doors_give_the_same_answer(client: Any, service: Any, version: Any) -> None:
    path = f"/api/v1/models/{version.model.name}/predict"
    body = {"features": payment()}
    one = client.post(path, body, content_type="application/json", headers=service).json()
    _, _, two = through_wsgi(path, orjson.dumps(body), HTTP_AUTHORIZATION=service["Authorization"])
    for varying in ("prediction_id", "latency_ms"):
        del one[varying], two[varying]
    assert one == two


@pytest.mark.parametrize("claimed", ["", "10", "nonsense"])
def test_a_body_over_the_limit_is_never_read_whole(
    service: Any, version: Any, settings: Any, claimed: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    path = f"/api/v1/models/{version.model.name}/predict"
    stream = io.BytesIO(b" " * 5000)
    status, _, _ = through_wsgi(
        path,
        b"",
        HTTP_AUTHORIZATION=service["Authorization"],
        CONTENT_LENGTH=claimed,
        **{"wsgi.input": stream},
    )
    assert status in (400, 413)
    assert stream.tell() <= 1001


def test_only_the_two_hot_routes_are_taken_from_django() -> None:
    assert edge.claims("POST", "/api/v1/models/m/predict")
    assert edge.claims("POST", "/api/v1/models/m/batch-predict")
    assert not edge.claims("GET", "/api/v1/models/m/predict")
    assert not edge.claims("POST", "/api/v1/models/a/b/predict")
    assert not edge.claims("POST", "/api/v1/models/m/predict/")
    assert settings.WSGI_APPLICATION == "aegisml.wsgi.application"


def test_a_bug_becomes_a_500_with_the_requests_id_and_no_trace(
    service: Any, version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.scoring.router", lambda: 1 / 0)
    status, headers, body = through_wsgi(
        f"/api/v1/models/{version.model.name}/predict",
        orjson.dumps({"features": payment()}),
        HTTP_AUTHORIZATION=service["Authorization"],
        HTTP_X_REQUEST_ID="find-me",
    )
    assert status == 500
    assert body["request_id"] == headers["X-Request-Id"] == "find-me"
    assert "ZeroDivision" not in str(body)
