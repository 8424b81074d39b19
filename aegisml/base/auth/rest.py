"""DRF's view of our tokens."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from aegisml.base.auth import tokens
from aegisml.base.auth.roles import Identity


def caller(request: Request | HttpRequest) -> User:
    """The account that makes an authenticated request; history names it."""
    return cast(User, request.user)


class SessionTokenAuthentication(BaseAuthentication):
    """`request.user` is the account, `request.auth` the verified `Identity`."""

    def authenticate(self, request: Request) -> tuple[User, Identity]:
        identity = tokens.identify(request.headers.get("Authorization"))
        return tokens.user_of(identity), identity

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="aegisml"'


class SessionTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = SessionTokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
