"""Every address that the platform answers, found through the URL resolver."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Route:
    """An address with its parameters filled in; `template` is as it stands in the URLs."""

    template: str
    path: str
    view: Callable[..., Any]

    @property
    def view_class(self) -> Any:
        return getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)

    @property
    def key(self) -> str:
        """Short name for tables: the template below /api/v1/, parameters without types."""
        short = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.template)
        return short.removeprefix("api/v1/")


def all_routes() -> list[Route]:
    return list(_walk(get_resolver(), ""))


def api_routes() -> list[Route]:
    return [route for route in all_routes() if route.template.startswith("api/v1/")]


def _walk(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        template = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, template)
        elif isinstance(entry, URLPattern):
            yield Route(template, "/" + _filled(template), entry.callback)


def _filled(template: str) -> str:
    filled = re.sub(r"<int:\w+>", "1", template)
    filled = re.sub(r"<(?:\w+:)?\w*id>", NOBODYS_ID, filled)
    filled = re.sub(r"<(?:\w+:)?\w+>", "x", filled)
    # the admin's own regular expressions
    filled = re.sub(r"\(\?P<app_label>([^|)]+)[^)]*\)", r"\1", filled)
    filled = re.sub(r"\(\?P<url>[^)]*\)", "nothing", filled)
    return re.sub(r"[\^$]", "", filled)
