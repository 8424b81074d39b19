"""The admin of what arrived: quarantined rows, ingested files and labels."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from aegisml.base.admin.common import InfinitePaginator, ReadOnlyAdmin, link
from features.choices import Disposition, RunStatus
from features.models import IngestFile, Label, QuarantinedRow

RUN_COLORS = {
    RunStatus.QUEUED: "default", RunStatus.RUNNING: "info", RunStatus.SUCCEEDED: "success",
    RunStatus.FAILED: "danger",
}  # fmt: skip
DISPOSITION_COLORS = {
    Disposition.CONFIRMED_RISK: "danger", Disposition.VALUABLE_ALERT: "warning",
    Disposition.FALSE_POSITIVE: "success",
}  # fmt: skip


class LongListAdmin(ReadOnlyAdmin):
    """A list that may be very long: no counts."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    list_per_page = 50


@admin.register(QuarantinedRow)
class QuarantinedRowAdmin(LongListAdmin):
    list_display = ("created_at", "stream", "source", "line", "event_id", "shown_reasons")
    list_filter = ("stream",)
    list_select_related = ("stream",)
    search_fields = ("=event_id", "source")
    search_help_text = "event id or file"
    sortable_by = ("created_at",)
    empty_hint = "No row was refused. Rows that break a rule of their stream are kept here."
    fields = ("stream", "source", "line", "event_id", "created_at", "reason_table", "raw_row")
    readonly_fields = ("reason_table", "raw_row")

    @display(description="Why")
    def shown_reasons(self, row: QuarantinedRow) -> str:
        said = [f"{reason.get('field')}: {reason.get('message')}" for reason in row.reasons[:2]]
        more = f" and {len(row.reasons) - 2} more" if len(row.reasons) > len(said) else ""
        return "; ".join(said) + more

    @display(description="Why")
    def reason_table(self, row: QuarantinedRow) -> str:
        lines = format_html_join(
            "",
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            ((r.get("field"), r.get("rule"), r.get("message")) for r in row.reasons),
        )
        return format_html(
            '<table class="ag-table"><thead><tr><th>Field</th><th>Rule</th><th>What is wrong</th>'
            "</tr></thead><tbody>{}</tbody></table>",
            lines,
        )

    @display(description="As it came")
    def raw_row(self, row: QuarantinedRow) -> str:
        try:
            text = json.dumps(json.loads(row.raw), indent=2, ensure_ascii=False)
        except ValueError:  # cut off, or never JSON
            text = row.raw
        return format_html('<pre class="ag-log">{}</pre>', text)


@admin.register(IngestFile)
class IngestFileAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "stream", "name", "status_label", "rows_read", "accepted", "duplicates",
        "rejected", "updated_at",
    )  # fmt: skip
    list_filter = ("status", "stream", "history")
    list_select_related = ("stream",)
    search_fields = ("name", "sha256")
    search_help_text = "file or SHA-256"
    empty_hint = "manage.py ingest_events reads a CSV or Parquet file into a stream."
    fields = (
        "stream", "name", "sha256", "history", "status", "rows_read", "accepted", "duplicates",
        "rejected", "quarantine_path", "error", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = ("created_at", "updated_at")

    @display(description="Status", ordering="status", label=RUN_COLORS)
    def status_label(self, row: IngestFile) -> tuple[str, str]:
        return row.status, row.get_status_display()


@admin.register(Label)
class LabelAdmin(LongListAdmin):
    list_display = (
        "known_time", "disposition_label", "source", "stream", "event_id", "prediction",
        "shown_state", "recorded_by",
    )  # fmt: skip
    list_filter = ("disposition", "source", "stream")
    list_select_related = ("stream", "recorded_by", "reversal")
    search_fields = ("=event_id", "=external_id")
    search_help_text = "event id, or the caller's own id"
    sortable_by = ("known_time",)
    empty_hint = "A label says what an event turned out to be; POST /api/v1/labels takes them."
    fields = (
        "stream", "event_id", "prediction_id", "disposition", "source", "shown_state", "reverses",
        "comment", "external_id", "known_time", "recorded_by",
    )  # fmt: skip
    readonly_fields = ("shown_state",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Label]:
        rows: QuerySet[Label] = super().get_queryset(request)
        return rows.select_related("stream", "recorded_by", "reversal")

    @display(description="Disposition", label=DISPOSITION_COLORS)
    def disposition_label(self, label: Label) -> tuple[str, str]:
        return label.disposition, label.get_disposition_display()

    @display(description="Prediction")
    def prediction(self, label: Label) -> Any:
        if label.prediction_id is None:
            return "-"
        text = f"…{str(label.prediction_id)[-12:]}"
        return link("inference_prediction_change", text, label.prediction_id)

    @display(description="State", label={"Standing": "success", "Reversed": "warning"})
    def shown_state(self, label: Label) -> str:
        if label.reverses_id is not None:
            return "Reversal"
        return "Reversed" if hasattr(label, "reversal") else "Standing"
