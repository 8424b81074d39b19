"""Definitions as a folder of YAML files, which teams keep in git."""

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aegisml.base.errors import Invalid

KINDS = ("streams", "entities", "views", "sets")  # in the order in which they need each other
SUFFIXES = (".yaml", ".yml")
MAX_FILES = 500
MAX_BYTES = 1_000_000
MAX_PARTS = 100_000  # of a file, with what its aliases repeat
MAX_DEPTH = 32


@dataclass(frozen=True)
class Item:
    """One definition and where it stands, such as "fraud/views.yaml: views.2"."""

    kind: str
    place: str
    fields: dict[str, Any]


def read(folder: Path) -> tuple[list[Item], list[str]]:
    """The definitions of all YAML files below `folder`, in the order of their kinds, and what is
    wrong with the files. Raises `Invalid` for a folder that can't be read at all."""
    if not folder.is_dir():
        raise Invalid.field("folder", f"{folder} is no folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise Invalid.field("folder", f"{folder} holds no {' or '.join(SUFFIXES)} file")
    if len(paths) > MAX_FILES:
        raise Invalid.field("folder", f"{folder} holds more than {MAX_FILES} files")
    items: list[Item] = []
    problems: list[str] = []
    for path in paths:
        name = str(path.relative_to(folder))
        try:
            items += _items(name, _parsed(path))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    items.sort(key=lambda item: KINDS.index(item.kind))
    return items, problems


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice: the first of two would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ValueError(f"line {line}: {key.value!r} is there twice")
            if key.value == "<<":  # merges of merges grow beyond all bounds
                raise ValueError(f"line {line}: merging by << is not supported")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parsed(path: Path) -> Any:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"is longer than {MAX_BYTES:,} bytes")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe one
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem or error.context or 'is no YAML'}") from None
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError):
        raise ValueError("is no YAML text in UTF-8") from None
    _refuse_hostile(data)
    return data


def _refuse_hostile(data: Any) -> None:
    """Values that JSON has no word for, and nesting or repetition that no honest file has."""
    waiting: list[tuple[str, Any, int]] = [("", data, 0)]
    parts = 0
    while waiting:
        place, value, depth = waiting.pop()
        parts += 1
        if parts > MAX_PARTS or depth > MAX_DEPTH:
            raise ValueError(f"holds more than {MAX_PARTS:,} parts, or nests them too deep")
        if problem := _problem(value):
            raise ValueError(f"{place}: {problem}" if place else problem)
        waiting += [(f"{place}.{key}".lstrip("."), part, depth + 1) for key, part in _parts(value)]


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _problem(value: Any) -> str | None:
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), None)
        return None if odd is None else f"the key {odd!r} must be in quotes"
    if isinstance(value, str):
        return "holds a NUL character" if "\x00" in value else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    if value is None or isinstance(value, bool | int | list):
        return None
    return f"{value} must be in quotes"


def _items(name: str, data: Any) -> Iterator[Item]:
    if data is None:
        return
    if not isinstance(data, dict):
        raise ValueError(f"must have the keys {', '.join(KINDS)}, or some of them")  # noqa: TRY004
    for kind, rows in data.items():
        if kind not in KINDS:
            raise ValueError(f"unknown key {kind[:60]!r}; known: {', '.join(KINDS)}")
        if not isinstance(rows, list):
            raise ValueError(f"{kind}: must be a list")  # noqa: TRY004 - of a file, not of a caller
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise ValueError(f"{kind}.{i}: must have keys and values")  # noqa: TRY004
            fields = {key: value for key, value in row.items() if value is not None}
            yield Item(kind, f"{name}: {kind}.{i}", fields)
