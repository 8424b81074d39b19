"""Misuse that is told at start-up."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string


@register()
def router_can_be_imported(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """`INFERENCE_ROUTER` is a dotted path; a wrong one must not wait for the first request."""
    try:
        import_string(settings.INFERENCE_ROUTER)
    except ImportError as error:
        return [Error(f"INFERENCE_ROUTER: {error}", id="aegisml.E001")]
    return []
