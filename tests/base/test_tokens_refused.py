"""A token that isn't exactly one of ours is 401, never 500."""

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.test import Client

from aegisml.base.auth import roles, tokens
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ME = "/api/v1/auth/me"
YEAR_2100 = 4_102_444_800


@pytest.fixture
def pair() -> tokens.Pair:
    return tokens.open_session(user=make_user(roles.ADMIN), user_agent="tests")


@pytest.fixture
def claims(pair: tokens.Pair) -> dict[str, Any]:
    return jwt.decode(pair.access, options={"verify_signature": False})


def status(token: str, *, scheme: str = "Bearer") -> int:
    return Client().get(ME, headers={"Authorization": f"{scheme} {token}"}).status_code


def signed(claims: dict[str, Any], *, key: str | bytes | None = None, **header: Any) -> str:
    """A token made by hand, since the library refuses to make some of these."""
    parts = [{"typ": "JWT", "alg": "HS256", **header}, claims]
    body = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
    secret = settings.JWT_KEY if key is None else key
    secret = secret.encode() if isinstance(secret, str) else secret
    digest = hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def without_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def test_a_genuine_token_is_accepted_also_when_made_by_hand(
    pair: tokens.Pair, claims: dict[str, Any]
) -> None:
    assert status(pair.access) == 200
    assert status(pair.access, scheme="bearer") == 200
    assert status(signed(claims)) == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", ""])
def test_a_token_without_a_signature_is_refused(claims: dict[str, Any], algorithm: str) -> None:
    assert status(without_signature(signed(claims, alg=algorithm))) == 401
    assert status(signed(claims, alg=algorithm)) == 401


def test_an_empty_signature_is_refused(pair: tokens.Pair) -> None:
    assert status(without_signature(pair.access)) == 401
    assert status(pair.access.rpartition(".")[0]) == 401


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key_is_refused(
    claims: dict[str, Any], algorithm: str
) -> None:
    assert status(jwt.encode(claims, settings.JWT_KEY, algorithm)) == 401


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "PS256"])
def test_a_public_key_algorithm_over_our_secret_is_refused(
    claims: dict[str, Any], algorithm: str
) -> None:
    assert status(signed(claims, alg=algorithm)) == 401


@pytest.mark.parametrize("key", ["", "x" * 64, b"\x00"])
def test_a_token_signed_with_another_key_is_refused(claims: dict[str, Any], key: Any) -> None:
    assert status(signed(claims, key=key)) == 401


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"jku": "http://127.0.0.1:1/keys.json"},
        {"x5u": "http://127.0.0.1:1/cert.pem"},
        {"jwk": {"kty": "oct", "k": ""}},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_header_that_names_its_own_key_is_not_followed(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    assert status(signed(claims, key="", **header)) == 401
    assert status(signed(claims, key="attacker", **header)) == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", 1), ("exp", str(YEAR_2100)), ("exp", YEAR_2100 + 0.5), ("exp", 10**30),
        ("exp", None), ("exp", True), ("exp", [1]), ("nbf", YEAR_2100), ("iat", "yesterday"),
        ("aud", "somebody else"), ("aud", None), ("iss", "somebody else"),
        ("token_type", "refresh"), ("sid", "not a session"), ("sid", str(uuid.UUID(int=7))),
        ("sid", 7), ("sid", "\x00"), ("hash_password", "other"),
    ],
)  # fmt: skip
def test_a_wrong_claim_is_refused_even_when_signed_by_us(
    claims: dict[str, Any], name: str, value: Any
) -> None:
    assert status(signed({**claims, name: value})) == 401


@pytest.mark.parametrize("name", ["exp", "aud", "iss", "token_type", "sid", "hash_password"])
def test_a_missing_claim_is_refused_even_when_signed_by_us(
    claims: dict[str, Any], name: str
) -> None:
    assert name in claims
    assert status(signed({k: v for k, v in claims.items() if k != name})) == 401


def test_a_refresh_token_is_no_access_token(pair: tokens.Pair) -> None:
    assert status(pair.refresh) == 401


def test_an_access_token_is_no_refresh_token(pair: tokens.Pair) -> None:
    answer = Client().post(
        "/api/v1/auth/refresh", {"refresh": pair.access}, content_type="application/json"
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "access", "jwt", "Authorization"])
def test_a_token_in_the_address_is_not_looked_at(pair: tokens.Pair, name: str) -> None:
    assert Client().get(ME, {name: pair.access}).status_code == 401


def test_a_token_of_a_megabyte_is_refused(claims: dict[str, Any]) -> None:
    assert status("x" * 1_000_000) == 401
    assert status(signed({**claims, "pad": "x" * 1_000_000})) == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer a.b", "Bearer a.b.c.d.e", "Bearer ....", "Basic YTpi",
     "Token abc", "Bearer \x00", "Bearer bär", "Bearer null", "Bearer e30.e30.e30"],
)  # fmt: skip
def test_a_header_that_is_no_bearer_token_is_refused(header: str) -> None:
    answer = Client().get(ME, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="aegisml"'
