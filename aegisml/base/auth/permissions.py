"""Which role a route asks for: written on the view, checked here, shown in the OpenAPI."""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from aegisml.base.auth.roles import NOBODY, Identity


class HasRole(BasePermission):
    """Lets a caller pass who holds one of `view.roles[method]`; no entry lets nobody pass."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        allowed = getattr(view, "roles", {}).get(method)
        if allowed is None:
            raise MethodNotAllowed(method)
        identity = request.auth if isinstance(request.auth, Identity) else NOBODY
        identity.require(allowed)
        return True
