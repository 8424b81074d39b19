"""The form of a checkpoint: what JSON can say, then the library's own bytes."""

import json
import struct
from collections.abc import Mapping
from typing import Any

_LENGTH = struct.Struct("<Q")


def pack(header: Mapping[str, Any], body: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    return _LENGTH.pack(len(text)) + text + body


def unpack(state: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = _LENGTH.unpack_from(state)
    end = _LENGTH.size + length
    return json.loads(state[_LENGTH.size : end]), state[end:]
