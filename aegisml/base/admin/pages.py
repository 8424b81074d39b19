"""Admin pages that are no model's. Each app adds its own; they lie under the admin's address."""

from collections.abc import Callable

from django.contrib import admin
from django.urls import URLPattern

_added: list[Callable[[], list[URLPattern]]] = []


def add(urls: Callable[[], list[URLPattern]]) -> None:
    """Add pages; their views must stand behind `admin.site.admin_view`."""
    _added.append(urls)


def _all() -> list[URLPattern]:
    return [page for urls in _added for page in urls()]


admin.site.extra_urls = _all  # type: ignore[attr-defined]  # the theme's site asks for it
