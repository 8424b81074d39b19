"""The admin of the prediction log, which may hold very many rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from aegisml.base import ids
from aegisml.base.admin.common import InfinitePaginator, ReadOnlyAdmin, duration, link
from inference.choices import Decision
from inference.models import Prediction
from models_app import bundles
from models_app.errors import BundleRefused
from models_app.models import ModelVersion

DECISION_COLORS = {
    Decision.APPROVE: "success", Decision.REVIEW: "warning", Decision.BLOCK: "danger"
}  # fmt: skip
RELATED = ("model", "version__model")


class SinceFilter(admin.SimpleListFilter):
    """A week unless asked otherwise, so that a rare decision isn't sought in all partitions."""

    title = "time"
    parameter_name = "since"
    HOURS = {"hour": 1, "day": 24, "week": 24 * 7, "month": 24 * 30}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("hour", "Last hour"), ("day", "Last 24 hours"), ("week", "Last 7 days"),
            ("month", "Last 30 days"), ("ever", "Any time"),
        ]  # fmt: skip

    def value(self) -> str:
        return super().value() or "week"

    def choices(self, changelist: Any) -> Any:
        return list(super().choices(changelist))[1:]  # without "All": that is "Any time"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in self.HOURS or "q" in request.GET:
            return queryset
        since = timezone.now() - timedelta(hours=self.HOURS[self.value()])
        return queryset.filter(created_at__gte=since)


@admin.register(Prediction)
class PredictionAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "decision_label", "shown_score", "version_link", "arm", "caller",
        "shown_latency", "short_id",
    )  # fmt: skip
    list_filter = (SinceFilter, "decision", "model")
    list_select_related = RELATED
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = "the whole prediction id"
    fields = ("model", "created_at")
    empty_hint = "No prediction fits. The list shows the last 7 days unless the filter says more."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Prediction], search_term: str
    ) -> tuple[QuerySet[Prediction], bool]:
        if not search_term:
            return queryset, False
        identifier = ids.parse_uuid(search_term.strip())
        found = Prediction.objects.find(identifier) if identifier else None
        if found is None:
            return queryset.none(), False
        return queryset.filter(pk=found.pk, created_at=found.created_at), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Prediction | None:
        identifier = ids.parse_uuid(object_id)
        rows = Prediction.objects.select_related(*RELATED)
        return rows.find(identifier) if identifier else None

    @display(description="Decision", label=DECISION_COLORS)
    def decision_label(self, prediction: Prediction) -> tuple[str, str]:
        return prediction.decision, prediction.get_decision_display()

    @display(description="Score")
    def shown_score(self, prediction: Prediction) -> str:
        return f"{prediction.score:.4f}"

    @display(description="Version")
    def version_link(self, prediction: Prediction) -> str:
        return link("models_app_modelversion_change", prediction.version, prediction.version_id)

    @display(description="Latency")
    def shown_latency(self, prediction: Prediction) -> str:
        return f"{prediction.latency_us / 1000:.2f} ms"

    @display(description="Id")
    def short_id(self, prediction: Prediction) -> str:
        return f"…{str(prediction.pk)[-12:]}"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        prediction = context["original"]
        context |= {
            "decision_color": DECISION_COLORS[Decision(prediction.decision)],
            "latency": f"{prediction.latency_us / 1000:.2f} ms",
            "block_from": _block_threshold(prediction.version),
            "features": _features(prediction),
            "approximate": _approximate(prediction),
        }
        return super().render_change_form(request, context, *args, **kwargs)


@dataclass(frozen=True)
class _Feature:
    """A row of the features' table; without a version the value was given, not looked up."""

    name: str
    value: Any
    version: str = ""
    status: str = ""
    as_of: datetime | None = None
    age: str = ""


def _features(prediction: Prediction) -> list[_Feature]:
    context = prediction.context
    if context is None:
        return [_Feature(name, value) for name, value in prediction.features.items()]
    found = []
    for name, value in prediction.features.items():
        origin = context["features"].get(name)
        if origin is None:  # a field of the event itself
            found.append(_Feature(name, value))
            continue
        state = context["views"][origin["version"]]
        as_of, age = state["as_of"], state["age_seconds"]
        found.append(
            _Feature(
                name=name,
                value=value,
                version=origin["version"],
                status=origin["status"],
                as_of=datetime.fromisoformat(as_of) if as_of else None,
                age="" if age is None else duration(age),
            )
        )
    return found


def _approximate(prediction: Prediction) -> list[tuple[str, dict[str, Any]]]:
    """Views that were answered from sums of an entity's events."""
    views = (prediction.context or {"views": {}})["views"].items()
    return [(version, state["approximate"]) for version, state in views if "approximate" in state]


def _block_threshold(version: ModelVersion) -> float | None:
    """From where the version blocks; None when it never does or its files are gone."""
    try:
        _, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    except BundleRefused:
        return None
    block: float | None = orjson.loads(files["policy.json"])["block"]
    return block
