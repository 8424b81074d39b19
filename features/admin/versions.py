"""The admin of feature view versions: what each computes, who pins it, promote and discard."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from aegisml.base.admin.common import ReadOnlyAdmin, ReasonForm, address, after_dialog, link, told
from aegisml.base.auth.rest import caller
from features.admin import charts
from features.admin.forms import spelled
from features.choices import OnlineState, VersionStatus
from features.ml import listing
from features.models import FeatureViewVersion
from features.services import usage, views

STATUS_COLORS = {
    VersionStatus.STAGED: "info", VersionStatus.PROMOTED: "success",
    VersionStatus.SUPERSEDED: "default",
}  # fmt: skip
ONLINE_COLORS = {
    OnlineState.OFF: "default", OnlineState.BUILDING: "warning", OnlineState.READY: "success"
}  # fmt: skip
RELATED = ("view__stream", "view__entity", "created_by")


@admin.register(FeatureViewVersion)
class FeatureViewVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "shown_version", "view_link", "status_label", "online_label", "note", "created_by",
        "created_at", "promoted_at",
    )  # fmt: skip
    list_filter = ("status", "online", "view")
    list_select_related = RELATED
    search_fields = ("view__name", "note")
    search_help_text = "view or words of the note"
    ordering = ("-created_at",)
    fields = ("view", "number")
    actions_detail = ("promote", "discard")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureViewVersion]:
        rows: QuerySet[FeatureViewVersion] = super().get_queryset(request)
        return rows.select_related(*RELATED)

    # --- who may what ---

    def has_promote_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("features.change_featureviewversion")

    def has_discard_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("features.delete_featureviewversion")

    # --- list ---

    @display(description="Version", ordering="number")
    def shown_version(self, version: FeatureViewVersion) -> str:
        return str(version)

    @display(description="View", ordering="view__name")
    def view_link(self, version: FeatureViewVersion) -> str:
        return link("features_featureview_change", version.view, version.view_id)

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def status_label(self, version: FeatureViewVersion) -> tuple[str, str]:
        return version.status, version.get_status_display()

    @display(description="Online", ordering="online", label=ONLINE_COLORS)
    def online_label(self, version: FeatureViewVersion) -> tuple[str, str]:
        return version.online, version.get_online_display()

    # --- page ---

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        version = context["original"]
        context |= {
            "lines": listing.lines(version.compiled),
            "definition": spelled(version.definition),
            "sets": usage.pinning_sets(version),
            "runs": version.materialize_runs.all()[:5],
            "profiles": charts.of_version(_newest_profiles(version), version.compiled.names),
            "status_color": STATUS_COLORS[version.status],
            "online_color": ONLINE_COLORS[version.online],
            "online": f"online: {version.get_online_display()}",
        }
        return super().render_change_form(request, context, *args, **kwargs)

    # --- actions ---

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        version = self.get_object(request, str(object_id))
        if version is None or version.status == VersionStatus.PROMOTED:
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    @action(
        description="Promote",
        url_path="promote",
        icon="verified",
        permissions=["promote"],
        dialog={
            "title": "Promote this version",
            "description": "The view's name means it from now on, and it is computed online.",
            "form_class": ReasonForm,
            "form_submit_text": "Promote",
        },
    )
    def promote(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        version = self.row(request, object_id)
        with told(request, f"{version} is promoted."):
            views.promote(
                version=version, actor=caller(request), reason=form.cleaned_data["reason"]
            )
        return after_dialog(request, address("features_featureviewversion_change", object_id))

    @action(
        description="Discard",
        url_path="discard",
        icon="delete",
        variant=ActionVariant.DANGER,
        permissions=["discard"],
        dialog={
            "title": "Discard this version",
            "description": "It is deleted, unless a feature set pins it. Its number isn't reused.",
            "form_class": ReasonForm,
            "form_submit_text": "Discard",
        },
    )
    def discard(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        version = self.row(request, object_id)
        with told(request, f"{version} is gone."):
            views.discard(
                version=version, actor=caller(request), reason=form.cleaned_data["reason"]
            )
        if FeatureViewVersion.objects.filter(pk=object_id).exists():
            return after_dialog(request, address("features_featureviewversion_change", object_id))
        return after_dialog(request, address("features_featureviewversion_changelist"))


def _newest_profiles(version: FeatureViewVersion) -> Any:
    """Of the days that end with the newest profiled one."""
    newest = version.profiles.order_by("-day").values_list("day", flat=True).first()
    if newest is None:
        return ()
    return version.profiles.filter(day__gt=newest - timedelta(days=charts.DAYS))
