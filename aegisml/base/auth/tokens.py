"""API sessions and their JSON Web Tokens.

A login makes a session row and a pair of tokens that carry its id. The refresh
token is exchanged once for the next pair; a second use of the same one ends
the session, since one of the two holders stole it. Access tokens are verified
and checked against the session at first sight, and again every
`RECHECK_SECONDS`, so that a logout, a new password, a lost role or a removed
user ends them within that time while the hot path costs no query.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from aegisml.base import ids
from aegisml.base.auth import roles
from aegisml.base.auth.roles import Identity
from aegisml.base.errors import Unauthenticated
from aegisml.base.models import ApiSession

RECHECK_SECONDS = 20
MAX_TOKEN_LENGTH = 4096
_CACHE_SIZE = 10_000
_REFUSED = "The token is not valid or has expired."


@dataclass(frozen=True)
class Pair:
    """An access token, the refresh token beside it, and the access token's life in seconds."""

    access: str
    refresh: str
    expires_in: int


def open_session(*, user: User, user_agent: str) -> Pair:
    """Log `user` in: a new session and its first pair of tokens."""
    session = ApiSession(user=user, user_agent=user_agent[:200], expires_at=timezone.now())
    pair = _new_pair(session)
    session.save()
    return pair


def refresh(*, token: str) -> Pair:
    """Exchange a refresh token for the next pair; raises `Unauthenticated`.

    A token that was exchanged before revokes its whole session.
    """
    claims = _decode(RefreshToken, token)
    with transaction.atomic():
        session = (
            ApiSession.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(pk=claims["sid"])
            .first()
        )
        if session is None or not session.is_live or not _user_still_valid(session.user, claims):
            raise Unauthenticated(_REFUSED)
        reused = session.refresh_jti != claims["jti"]
        if reused:
            session.revoke()  # must be kept, so the error is raised outside the transaction
        else:
            pair = _new_pair(session)
            session.save(update_fields=["refresh_jti", "refreshed_at", "expires_at"])
    if reused:
        raise Unauthenticated(_REFUSED)
    return pair


def close_session(*, session_id: str) -> None:
    """Log out: the session's tokens stop working, here at once, elsewhere within seconds."""
    ApiSession.objects.filter(pk=session_id, revoked_at=None).update(revoked_at=timezone.now())
    _verified.forget(session_id)


def identify(authorization: str | None) -> Identity:
    """The caller behind an `Authorization` header; raises `Unauthenticated`."""
    if not authorization:
        raise Unauthenticated("Send an access token: 'Authorization: Bearer <token>'.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("The Authorization header must read 'Bearer <token>'.")
    known = _verified.get(token)
    if known is not None:
        return known
    identity, expires = _verify(token)
    _verified.put(token, identity, expires)
    return identity


class _Verified:
    """Tokens seen lately, with the time until which they need no second look."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Identity, float]] = {}
        self._lock = Lock()

    def get(self, token: str) -> Identity | None:
        found = self._known.get(token)
        if found is None or found[1] < time.time():
            return None
        return found[0]

    def put(self, token: str, identity: Identity, expires: float) -> None:
        with self._lock:
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            self._known[token] = (identity, min(expires, time.time() + RECHECK_SECONDS))

    def forget(self, session_id: str) -> None:
        with self._lock:
            self._known = {t: e for t, e in self._known.items() if e[0].session_id != session_id}

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


_verified = _Verified()


def forget_verified() -> None:
    """Look at every token afresh at its next use (in this process)."""
    _verified.clear()


def _verify(token: str) -> tuple[Identity, float]:
    claims = _decode(AccessToken, token)
    session = ApiSession.objects.live().select_related("user").filter(pk=claims["sid"]).first()
    if session is None or not _user_still_valid(session.user, claims):
        raise Unauthenticated(_REFUSED)
    identity = Identity(
        user_id=session.user.pk,
        username=session.user.get_username(),
        roles=roles_of(session.user),
        session_id=str(session.pk),
    )
    return identity, float(claims["exp"])


def roles_of(user: User) -> frozenset[str]:
    names = frozenset(user.groups.values_list("name", flat=True)) & roles.ALL
    return names | {roles.ADMIN} if user.is_superuser else names


def _decode(kind: type[AccessToken | RefreshToken], token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated(_REFUSED)
    try:
        claims: dict[str, Any] = kind(token).payload  # type: ignore[arg-type]
    except (TokenError, ValueError, TypeError, OverflowError):
        raise Unauthenticated(_REFUSED) from None
    if not isinstance(claims.get("exp"), int) or ids.parse_uuid(str(claims.get("sid"))) is None:
        raise Unauthenticated(_REFUSED)
    return claims


def _user_still_valid(user: User, claims: dict[str, Any]) -> bool:
    stamp = claims.get(api_settings.REVOKE_TOKEN_CLAIM)
    return user.is_active and stamp == get_md5_hash_password(user.password)


def _new_pair(session: ApiSession) -> Pair:
    """The session's next pair of tokens; sets its refresh id and end (the caller saves)."""
    token = RefreshToken.for_user(session.user)
    token["sid"] = str(session.pk)
    session.refresh_jti = token["jti"]
    session.refreshed_at = timezone.now()
    session.expires_at = datetime.fromtimestamp(token["exp"], tz=UTC)
    access = token.access_token
    seconds = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return Pair(access=str(access), refresh=str(token), expires_in=seconds)


def user_of(identity: Identity) -> User:
    """The account behind an identity; raises `Unauthenticated` when it is gone."""
    user = get_user_model().objects.filter(pk=identity.user_id, is_active=True).first()
    if user is None:
        raise Unauthenticated(_REFUSED)
    return user
