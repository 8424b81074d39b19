"""The admin of entities and feature views."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from unfold.decorators import display

from aegisml.base.admin.common import ServiceAdmin, address, after_dialog, link
from aegisml.base.auth.rest import caller
from aegisml.base.errors import AegisError, Invalid
from features.admin.forms import DefinitionField, EntityForm, ViewForm
from features.admin.versions import ONLINE_COLORS, STATUS_COLORS
from features.choices import OnlineState, VersionStatus
from features.ml import listing
from features.models import Entity, FeatureView, FeatureViewVersion, Stream
from features.services import preview, usage, views


@admin.register(Entity)
class EntityAdmin(ServiceAdmin):
    form = EntityForm
    list_display = ("name", "description", "shown_views", "created_at")
    search_fields = ("name", "description")
    search_help_text = "name or words of the description"
    empty_hint = "An entity is what features are about: a customer, a terminal, an account."
    fields = ("name", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entity]:
        rows: QuerySet[Entity] = super().get_queryset(request)
        return rows.annotate(view_count=Count("views"))

    @display(description="Views", ordering="view_count")
    def shown_views(self, entity: Any) -> str:
        page = "features_featureview_changelist"
        return link(page, entity.view_count, entity__id__exact=entity.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        if change:
            entity = Entity.objects.get(pk=obj.pk)
            views.describe_entity(entity=entity, actor=caller(request), **values)
        else:
            obj.pk = views.create_entity(actor=caller(request), **values).pk


@admin.register(FeatureView)
class FeatureViewAdmin(ServiceAdmin):
    """A view's page; its form makes the next version."""

    form = ViewForm
    list_display = ("name", "stream", "entity", "promoted", "newest", "online_state", "created_at")
    list_filter = ("stream", "entity")
    search_fields = ("name", "description")
    search_help_text = "name or words of the description"
    empty_hint = "A feature view is a group of features of one entity, over one stream."
    fieldsets = (
        (None, {"fields": ("name", ("stream", "entity"), "description")}),
        ("Definition", {"fields": ("definition", "note")}),
    )

    # --- list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureView]:
        return super().get_queryset(request).with_versions()

    @display(description="Promoted")
    def promoted(self, view: FeatureView) -> str:
        return _version_link(_promoted(view))

    @display(description="Newest")
    def newest(self, view: FeatureView) -> str:
        return _version_link(next(iter(view.versions.all()), None))

    @display(description="Online", label=ONLINE_COLORS)
    def online_state(self, view: FeatureView) -> tuple[str, str] | None:
        version = _promoted(view)
        return (version.online, version.get_online_display()) if version else None

    # --- form ---

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("name", "stream", "entity") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        if change:
            values = {**values, "name": obj.name, "stream": obj.stream, "entity": obj.entity}
        version = views.define_view(actor=caller(request), **values)
        obj.pk, obj.defined = version.view_id, version

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        return self._show(request, obj.defined)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._show(request, obj.defined)

    def _show(self, request: HttpRequest, version: FeatureViewVersion) -> HttpResponse:
        said = "is staged" if version.is_new else "has this definition already"
        self.message_user(request, f"{version} {said}.")
        return after_dialog(request, address("features_featureviewversion_change", version.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        view = context.get("original")
        if view is not None:
            context |= _summary(view)
        return super().render_change_form(request, context, *args, **kwargs)

    # --- preview ---

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "preview/",
            self.admin_site.admin_view(self.preview),
            name="features_featureview_preview",
        )
        return [page, *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """The form's definition on real rows, as a part of the page; nothing is kept."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        if request.method != "POST":
            raise Http404
        try:
            shown = preview.preview(**_previewed(request))
        except AegisError as error:
            said = error.errors or (error,)
            return render(request, "aegisml/preview.html", {"problems": said})
        nulls = [shown.null_shares.get(name) for name in shown.names]
        rows = [
            (row, [listing.spelled(row.values[name]) for name in shown.names]) for row in shown.rows
        ]
        return render(
            request, "aegisml/preview.html", {"preview": shown, "rows": rows, "nulls": nulls}
        )


def _previewed(request: HttpRequest) -> dict[str, Any]:
    """What the form says now; an existing view's stream and entity are its own."""
    given = request.POST
    try:
        definition = DefinitionField(required=False).clean(given.get("definition", ""))
    except ValidationError as error:
        raise Invalid.field("definition", " ".join(error.messages)) from None
    view = _picked(FeatureView, given.get("view"))
    if view is not None:
        return {"stream": view.stream, "entity": view.entity, "definition": definition}
    stream = _picked(Stream, given.get("stream"))
    if stream is None:
        raise Invalid.field("stream", "select one")
    entity = _picked(Entity, given.get("entity"))
    return {"stream": stream, "entity": entity, "definition": definition}


def _picked(model: Any, key: str | None) -> Any:
    return model.objects.filter(pk=key).first() if key and key.isdecimal() else None


def _promoted(view: FeatureView) -> FeatureViewVersion | None:
    versions = view.versions.all()  # prefetched
    return next((found for found in versions if found.status == VersionStatus.PROMOTED), None)


def _version_link(version: FeatureViewVersion | None) -> str:
    if version is None:
        return "-"
    return link("features_featureviewversion_change", f"v{version.number}", version.pk)


def _summary(view: FeatureView) -> dict[str, Any]:
    """What stands above the form: the versions, and what the current one computes."""
    versions = list(view.versions.all())
    current = _promoted(view) or (versions[0] if versions else None)
    return {
        "current": current,
        "lines": listing.lines(current.compiled) if current else [],
        "versions": [
            {
                "version": version,
                "status_color": STATUS_COLORS[VersionStatus(version.status)],
                "online_color": ONLINE_COLORS[OnlineState(version.online)],
                "sets": usage.pinning_sets(version),
            }
            for version in versions[:10]
        ],
    }
