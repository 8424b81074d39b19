"""Which version answers a request: the seam that experiments plug into."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from inference.loaded import Loaded


@dataclass(frozen=True)
class Route:
    """The version that answers, and the arm that the prediction is logged under."""

    loaded: Loaded
    arm: str


class Router(Protocol):
    """`settings.INFERENCE_ROUTER` names a class of this shape. It must not do I/O.

    `features` is the first row as the caller sent it: features, or a raw event.
    """

    def route(self, champion: Loaded, features: Mapping[str, Any]) -> Route: ...


class ChampionRouter:
    """The champion answers everything."""

    def route(self, champion: Loaded, features: Mapping[str, Any]) -> Route:
        return Route(champion, "champion")


@cache
def router() -> Router:
    found: Router = import_string(settings.INFERENCE_ROUTER)()
    return found
