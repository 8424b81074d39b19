"""Every recorded change, through whatever door it came."""

from django.contrib import admin
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from aegisml.base.admin.common import InfinitePaginator, ReadOnlyAdmin


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    list_display = ("action_time", "user", "kind", "shown_row", "what")
    list_display_links = ("action_time",)
    list_filter = ("action_flag", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")
    search_help_text = "name, words of the message, or user"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    fields = ("action_time", "user", "content_type", "shown_row", "what")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        rows: QuerySet[LogEntry] = super().get_queryset(request)
        return rows.select_related("user", "content_type")

    @display(description="Change", label={"Added": "success", "Ended": "danger"})
    def kind(self, entry: LogEntry) -> str:
        return {ADDITION: "Added", DELETION: "Ended"}.get(entry.action_flag, "Changed")

    @display(description="Of")
    def shown_row(self, entry: LogEntry) -> str:
        url = entry.get_admin_url()
        if not url or entry.action_flag == DELETION:
            return entry.object_repr
        return format_html('<a class="text-link" href="{}">{}</a>', url, entry.object_repr)

    @display(description="What and why")
    def what(self, entry: LogEntry) -> str:
        return entry.get_change_message()
