"""The admin of the store's work: online builds, historical features, consistency."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.decorators import display

from aegisml.base.admin.common import ReadOnlyAdmin, duration, link
from features.admin.events import RUN_COLORS
from features.ml import listing
from features.models import ConsistencyRun, HistoricalJob, MaterializeRun

EXAMPLES = 30


class RunAdmin(ReadOnlyAdmin):
    """A row with a status."""

    @display(description="Status", ordering="status", label=RUN_COLORS)
    def status_label(self, run: Any) -> tuple[str, str]:
        return run.status, run.get_status_display()

    @display(description="Progress", ordering="progress")
    def progress_bar(self, run: Any) -> str:
        return render_to_string("aegisml/progress.html", {"percent": run.progress})

    @display(description="Took")
    def took(self, run: Any) -> str:
        if run.finished_at is None:
            return "-"
        return duration((run.finished_at - run.created_at).total_seconds())


@admin.register(MaterializeRun)
class MaterializeRunAdmin(RunAdmin):
    list_display = (
        "created_at", "version_link", "status_label", "progress_bar", "events", "reason", "took",
    )  # fmt: skip
    list_filter = ("status", "version__view")
    list_select_related = ("version__view",)
    search_fields = ("version__view__name", "reason")
    search_help_text = "view or reason"
    empty_hint = "A version is built from the event log when it goes online."
    fields = (
        "version", "status", "reason", "progress", "cursor", "events", "error", "created_at",
        "finished_at",
    )  # fmt: skip
    readonly_fields = ("created_at",)

    @display(description="Version", ordering="version__view__name")
    def version_link(self, run: MaterializeRun) -> str:
        return link("features_featureviewversion_change", run.version, run.version_id)


@admin.register(HistoricalJob)
class HistoricalJobAdmin(RunAdmin):
    list_display = (
        "created_at", "set_link", "status_label", "progress_bar", "rows", "output_path",
        "requested_by", "took",
    )  # fmt: skip
    list_filter = ("status", "feature_set__name")
    list_select_related = ("feature_set", "requested_by")
    search_fields = ("feature_set__name", "output_path")
    search_help_text = "feature set or file"
    empty_hint = "POST /api/v1/features/historical asks for features as of past moments."
    fields = (
        "feature_set", "asked", "status", "progress", "output_path", "rows", "notes", "error",
        "requested_by", "created_at", "started_at", "finished_at",
    )  # fmt: skip
    readonly_fields = ("created_at", "asked")

    def get_queryset(self, request: HttpRequest) -> QuerySet[HistoricalJob]:
        return super().get_queryset(request).shown()

    @display(description="Feature set", ordering="feature_set__name")
    def set_link(self, job: HistoricalJob) -> str:
        return link("features_featureset_change", job.feature_set, job.feature_set_id)

    @display(description="Asked for")
    def asked(self, job: Any) -> str:
        if job.asked_count is not None:
            return f"{job.asked_count:,} moments"
        return f"events from {job.asked_from} to {job.asked_to}"


@admin.register(ConsistencyRun)
class ConsistencyRunAdmin(RunAdmin):
    list_display = (
        "created_at", "set_link", "since", "until", "status_label", "compared", "disagreeing",
        "took",
    )  # fmt: skip
    list_filter = ("status", "feature_set__name")
    list_select_related = ("feature_set",)
    search_fields = ("feature_set__name",)
    search_help_text = "feature set"
    empty_hint = "Each night a sample of served values is computed again from the event log."
    fields = ("feature_set", "since", "until")

    @display(description="Feature set", ordering="feature_set__name")
    def set_link(self, run: ConsistencyRun) -> str:
        return link("features_featureset_change", run.feature_set, run.feature_set_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        run = context["original"]
        context |= {
            "status_color": RUN_COLORS[run.status],
            "took": self.took(run),
            "rows": [_row(row) for row in run.features],
            "examples": [
                (row["feature"], _example(found))
                for row in run.features
                for found in row.get("examples", ())
            ][:EXAMPLES],
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "smape_text": f"{row['smape']:.2g}",
        "difference_text": listing.spelled(row["max_difference"]),
    }


def _example(found: dict[str, Any]) -> dict[str, Any]:
    """Values in full: a difference may be in the ninth digit. The log of predictions stands above
    this app, which knows its page by name."""
    prediction = found["prediction"]
    return {
        "served": json.dumps(found["served"]),
        "again": json.dumps(found["again"]),
        "link": link("inference_prediction_change", prediction, prediction),
    }
