"""JSON from a file that somebody brings, fit to be kept in the database."""

from typing import Any

import orjson

from models_app.ml.exchange.errors import Refused

MAX_BYTES = 8 * 1024**2
MAX_DEPTH = 32


def read_object(data: bytes | str, *, name: str, field: str = "file") -> dict[str, Any]:
    """The JSON object in `data`.

    Raises `Refused` naming `name` for anything else, more than 8 MiB, nesting deeper than 32
    levels, or NUL characters, which PostgreSQL can't store.
    """
    found = read(data, name=name, field=field)
    if not isinstance(found, dict):
        raise Refused(f"{name}: must be a JSON object", field=field)
    return found


def read(data: bytes | str, *, name: str, field: str = "file") -> Any:
    """The JSON value in `data`; refuses as `read_object` does."""
    if len(data) > MAX_BYTES:
        raise Refused(f"{name}: is over {MAX_BYTES:,} bytes", field=field)
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refused(f"{name}: is not valid JSON: {error}", field=field) from None
    _refuse_hostile(found, name, field)
    return found


def _refuse_hostile(data: Any, name: str, field: str) -> None:
    waiting = [(data, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str) and "\x00" in item:
            raise Refused(f"{name}: holds a NUL character", field=field)
        if depth > MAX_DEPTH:
            raise Refused(f"{name}: is nested deeper than {MAX_DEPTH} levels", field=field)
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
