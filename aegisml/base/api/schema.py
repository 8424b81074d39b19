"""OpenAPI: each operation names its roles and each error it can answer."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    request_id = serializers.CharField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        # not a class attribute: `errors` is a property of every serializer
        return {**super().get_fields(), "errors": FieldErrorSerializer(many=True, required=False)}


_ALWAYS = {
    "400": "The request is not valid; `errors` names the fields",
    "401": "No token, or one that is not valid",
    "403": "The caller's role does not allow this",
    "404": "No such object",
    "405": "Method not allowed",
    "503": "Not ready; `Retry-After` says when to ask again",
}
_WITH_BODY = {
    "409": "The present state does not allow this",
    "413": "The body is over the limit",
    "415": "The body is not JSON",
}


class AegisSchema(AutoSchema):
    """Adds the problem responses and `x-roles` to what drf-spectacular finds."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        roles = getattr(self.view, "roles", {}).get(self.method)
        if roles:
            operation["x-roles"] = sorted(roles)
            line = "Roles: " + ", ".join(f"`{role}`" for role in sorted(roles)) + "."
            operation["description"] = (operation.get("description", "") + "\n\n" + line).strip()
        return operation

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        texts = {**_ALWAYS, **(_WITH_BODY if self.method not in ("GET", "HEAD") else {})}
        for code, text in texts.items():
            if code not in bodies:
                response = OpenApiResponse(ProblemSerializer, description=text)
                bodies[code] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    response, code, media_types=["application/problem+json"], direction=direction
                )
        return dict(sorted(bodies.items()))
