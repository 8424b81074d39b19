"""Log in, stay logged in, log out."""

from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.api.problems import CONTENT_TYPE
from aegisml.base.api.schema import ProblemSerializer
from aegisml.base.api.serializers import StrictSerializer
from aegisml.base.auth import backends, roles, tokens
from aegisml.base.errors import Throttled, Unauthenticated


class CredentialsSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)


class RefreshSerializer(StrictSerializer):
    refresh = serializers.CharField(max_length=tokens.MAX_TOKEN_LENGTH)


class PairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField()
    refresh = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="seconds until the access token expires")


class MeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="user_id")
    username = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())


class OpenView(APIView):
    """A route that anyone may call: the way in."""

    authentication_classes = ()
    permission_classes = ()


class TokenView(OpenView):
    @extend_schema(
        operation_id="auth_token",
        request=CredentialsSerializer,
        responses={200: PairSerializer, (429, CONTENT_TYPE): ProblemSerializer},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange a username and a password for an access and a refresh token."""
        form = CredentialsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        username = form.validated_data["username"]
        user = authenticate(request, username=username, password=form.validated_data["password"])
        if user is None:
            raise _refusal(username)
        pair = tokens.open_session(user=user, user_agent=request.headers.get("User-Agent", ""))
        return Response(PairSerializer(pair).data)


class RefreshView(OpenView):
    @extend_schema(
        operation_id="auth_refresh", request=RefreshSerializer, responses=PairSerializer, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for the next pair. Each refresh token works once."""
        form = RefreshSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(PairSerializer(tokens.refresh(token=form.validated_data["refresh"])).data)


class LogoutView(APIView):
    roles = {"POST": roles.ALL}

    @extend_schema(operation_id="auth_logout", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """End this session: its access and refresh tokens stop working."""
        tokens.close_session(session_id=request.auth.session_id)  # type: ignore[union-attr]
        return Response(status=204)


class MeView(APIView):
    roles = {"GET": roles.ALL}

    @extend_schema(operation_id="auth_me", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who the caller is, and the roles they hold."""
        identity = request.auth
        return Response({**MeSerializer(identity).data, "roles": sorted(identity.roles)})  # type: ignore[union-attr]


def _refusal(username: str) -> Throttled | Unauthenticated:
    locked = backends.lockout(username)
    return locked or Unauthenticated("No active account has this username and password.")
