"""The list of inputs that comes with a file, or is given beside it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models_app.ml.exchange.archives import shown
from models_app.ml.exchange.errors import Refused
from models_app.ml.signature import Feature, Signature

FIELD = "signature"
MAX_WIDTH = 20_000
MAX_LEVELS = 1_000
MAX_NAME = 200
_KEYS = {
    "numeric": set(), "boolean": set(), "category": {"levels", "open"},
    "sequence": {"steps", "size"},
}  # fmt: skip
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+")


def read(data: Any, *, field: str = FIELD) -> Signature:
    """The signature in parsed JSON: {"features": [...]} as ours are kept, or just the list, whose
    items are features or the names of numbers. Raises `Refused` naming the item that is wrong."""
    found = data.get("features") if isinstance(data, Mapping) else data
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise Refused('must be {"features": [...]} or a list of names', field=field)
    features = [_feature(item, f"{field}.{i}") for i, item in enumerate(found)]
    try:
        signature = Signature(features)
    except ValueError as error:
        raise Refused(str(error), field=field) from None
    if signature.width > MAX_WIDTH:
        raise Refused(f"fills {signature.width:,} columns; at most {MAX_WIDTH:,}", field=field)
    return signature


def _feature(item: Any, field: str) -> Feature:
    if isinstance(item, str):
        item = {"name": item, "kind": "numeric"}
    if not isinstance(item, Mapping):
        raise Refused("must be a feature or the name of a number", field=field)
    kind = item.get("kind", "numeric")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise Refused(f"kind: must be one of {', '.join(_KEYS)}", field=field)
    unknown = set(item) - {"name", "kind"} - _KEYS[kind]
    if unknown:
        raise Refused(f"unknown key {shown(str(min(unknown)))!r}", field=field)
    name = item.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not _PLAIN.fullmatch(name):
        raise Refused("name: must be a plain text of at most 200 characters", field=field)
    if kind == "category":
        return Feature(name, "category", _levels(item.get("levels"), field), _open(item, field))
    if kind == "sequence":
        return Feature(
            name, "sequence", steps=_count(item, "steps", field), size=_count(item, "size", field)
        )
    return Feature(name, "boolean" if kind == "boolean" else "numeric")


def _levels(data: Any, field: str) -> tuple[str, ...]:
    fine = (
        isinstance(data, list | tuple)
        and 0 < len(data) <= MAX_LEVELS
        and all(isinstance(level, str) and len(level) <= MAX_NAME for level in data)
        and len(set(data)) == len(data)
    )
    if not fine:
        raise Refused(f"levels: must be 1 to {MAX_LEVELS:,} different texts", field=field)
    return tuple(data)


def _open(item: Mapping[str, Any], field: str) -> bool:
    found = item.get("open", False)
    if not isinstance(found, bool):
        raise Refused("open: must be true or false", field=field)
    return found


def _count(item: Mapping[str, Any], name: str, field: str) -> int:
    found = item.get(name)
    if type(found) is not int or not 1 <= found <= MAX_LEVELS:
        raise Refused(f"{name}: must be a whole number from 1 to {MAX_LEVELS:,}", field=field)
    return found
