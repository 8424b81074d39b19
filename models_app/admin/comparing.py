"""The page that shows versions side by side."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from aegisml.base.errors import AegisError
from models_app.admin import curves
from models_app.admin.showing import WHOLE, interval, number
from models_app.ml.compare import Line, Measure
from models_app.models import ModelVersion
from models_app.services import comparing

MAX_TEXT = 200


@dataclass(frozen=True)
class Cell:
    """One version's value of a metric."""

    text: str
    interval: str
    is_best: bool
    is_apart: bool  # its interval doesn't meet the best one's
    title: str


def show(request: HttpRequest) -> HttpResponse:
    """The versions that `?versions=fraud@1,fraud@3` names; without any, how to choose them."""
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Compare versions"}
    asked = request.GET.get("versions", "")
    if asked:
        try:
            found = comparing.compared(comparing.asked_for(asked))
        except AegisError as error:
            context["refused"] = error.detail
        else:
            context |= _context(found)
    return render(
        request, "aegisml/compare.html", context, status=400 if "refused" in context else 200
    )


def _context(found: comparing.Compared) -> dict[str, Any]:
    compared = found.comparison
    parts = (
        ("Parameters", compared.parameters),
        ("Lineage", compared.lineage),
        ("Features", compared.features),
    )
    return {
        "versions": found.versions,
        "comparison": compared,
        "measures": [(measure, _cells(measure)) for measure in compared.measures],
        "parts": [_part(title, lines) for title, lines in parts],
        "plots": curves.of_several([(str(v), v.metrics) for v in found.versions]),
    }


def _cells(measure: Measure) -> list[Cell]:
    cells = []
    for i, value in enumerate(measure.values):
        is_best = i in measure.best
        is_apart = measure.overlaps_best[i] is False
        title = (
            "best" if is_best else "its interval doesn't meet the best one's" if is_apart else ""
        )
        text = number(value, whole=measure.name in WHOLE)
        cells.append(Cell(text, interval(measure.intervals[i]), is_best, is_apart, title))
    return cells


def _part(title: str, lines: tuple[Line, ...]) -> dict[str, Any]:
    rows = [(line, [_text(value) for value in line.values]) for line in lines]
    return {
        "title": title,
        "different": [row for row in rows if row[0].differs],
        "same": [row for row in rows if not row[0].differs],
    }


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value) or "none"
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def names(versions: list[ModelVersion]) -> str:
    """What `?versions=` takes for these."""
    return ",".join(f"{version.model.name}@{version.number}" for version in versions)
