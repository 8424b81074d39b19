"""The web server's entry: the hot routes first, Django for the rest."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

# What is loaded stays: looking for garbage in it would slow the start, and requests ever after.
gc.disable()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegisml.settings")
django = get_wsgi_application()

from inference import edge  # noqa: E402 - needs the apps loaded
from inference.fleet import fleet  # noqa: E402

fleet.follow()
get_resolver().url_patterns  # noqa: B018 - loads the views now, not with the first request
gc.freeze()
gc.enable()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if edge.claims(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
        return edge.wsgi_shell(environ, start_response)
    return django(environ, start_response)
