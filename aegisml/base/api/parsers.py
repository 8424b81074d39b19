"""JSON in, by orjson: strict about NaN, Infinity, depth and Unicode."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class OrjsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            data = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from None
        if has_nul(data):
            raise ParseError("The body holds a NUL character, which no field may have.")
        return data


def has_nul(data: Any) -> bool:
    """Whether any text inside holds NUL, which PostgreSQL can't store."""
    if isinstance(data, str):
        return "\x00" in data
    if isinstance(data, dict):
        return any(has_nul(key) or has_nul(value) for key, value in data.items())
    if isinstance(data, list):
        return any(has_nul(item) for item in data)
    return False
