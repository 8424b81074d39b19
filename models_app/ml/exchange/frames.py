"""How two processes hand each other a JSON object and some files, over a plain stream."""

from collections.abc import Mapping
from typing import Any, BinaryIO

import orjson

_LENGTH = 8  # bytes of the header's length, big-endian


class BrokenFrame(ValueError):
    """The stream doesn't hold a whole frame."""


def write(stream: BinaryIO, header: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
    sizes = {name: len(data) for name, data in blobs.items()}
    body = orjson.dumps({"header": header, "blobs": sizes})
    stream.write(len(body).to_bytes(_LENGTH, "big"))
    stream.write(body)
    for data in blobs.values():
        stream.write(data)
    stream.flush()


def read(stream: BinaryIO, *, max_bytes: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The header and blobs; raises `BrokenFrame` for anything else, or for more than max_bytes."""
    left = max_bytes
    length = int.from_bytes(_exactly(stream, _LENGTH), "big")
    if length > left:
        raise BrokenFrame("the header is too long")
    left -= length
    try:
        body = orjson.loads(_exactly(stream, length))
        header, sizes = dict(body["header"]), dict(body["blobs"])
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFrame("the header can't be read") from error
    blobs = {}
    for name, size in sizes.items():
        if type(size) is not int or not 0 <= size <= left:
            raise BrokenFrame("a blob is too long")
        left -= size
        blobs[name] = _exactly(stream, size)
    return header, blobs


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise BrokenFrame("the stream ends in the middle")
    return data
