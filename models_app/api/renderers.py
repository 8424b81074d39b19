"""Answers that aren't JSON. Refusals on the same routes are."""

from typing import Any

from aegisml.base.api.renderers import OrjsonRenderer


class MarkdownRenderer(OrjsonRenderer):
    media_type = "text/markdown"
    format = "md"
    charset: Any = "utf-8"


class ZipRenderer(OrjsonRenderer):
    media_type = "application/zip"
    format = "zip"
