"""Shapes shared by the apps' APIs."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from aegisml.base import moments


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it doesn't know, by name: a typo must not pass in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(dict.fromkeys(unknown, ["unknown field"]))
        return super().to_internal_value(data)


class MomentField(serializers.DateTimeField):
    """A time that says its zone: nobody should have to guess which noon was meant."""

    default_error_messages = {"moment": "{sentence}"}

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("moment", sentence=f"must be a time in ISO 8601, such as {moments.EXAMPLE}")
        try:
            return moments.parse(value)
        except ValueError as error:
            self.fail("moment", sentence=error)
