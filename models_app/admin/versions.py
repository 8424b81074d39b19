"""The admin of model versions: the evidence about each, to read before it is deployed."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import action, display

from aegisml.base.admin.common import ReadOnlyAdmin, address, link
from aegisml.base.auth.rest import caller
from aegisml.base.errors import AegisError
from models_app.admin import comparing as pages
from models_app.admin import showing
from models_app.choices import AliasName
from models_app.models import ModelVersion
from models_app.services import comparing, evidence, exporting

ALIAS_COLORS = {
    AliasName.CHAMPION: "success", AliasName.CHALLENGER: "info", AliasName.SHADOW: "warning"
}  # fmt: skip


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "shown_version", "model_link", "algorithm", "auroc", "average_precision", "shown_aliases",
        "created_by", "created_at",
    )  # fmt: skip
    list_filter = ("model", "algorithm")
    list_select_related = ("model", "created_by")
    search_fields = ("model__name", "bundle_digest")
    search_help_text = "model or digest"
    fields = ("model", "number")
    actions = ("compare",)
    actions_detail = ("deploy",)

    # --- who may what ---

    def has_deploy_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("inference.add_deployment")

    def has_export_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("models_app.add_modelversion")

    # --- list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        rows = super().get_queryset(request)
        return rows.select_related("model", "created_by", "feature_set").prefetch_related("aliases")

    @display(description="Version", ordering="number")
    def shown_version(self, version: ModelVersion) -> str:
        return str(version)

    @display(description="Model", ordering="model__name")
    def model_link(self, version: ModelVersion) -> str:
        return link("models_app_registeredmodel_change", version.model, version.model_id)

    @display(description="AUROC", ordering="metrics__test__auroc")
    def auroc(self, version: ModelVersion) -> str:
        return showing.number((version.metrics.get("test") or {}).get("auroc"))

    @display(description="Average precision", ordering="metrics__test__average_precision")
    def average_precision(self, version: ModelVersion) -> str:
        return showing.number((version.metrics.get("test") or {}).get("average_precision"))

    @display(description="Aliases", label=ALIAS_COLORS)
    def shown_aliases(self, version: ModelVersion) -> tuple[str, str] | None:
        aliases = version.aliases.all()  # prefetched
        return next(((alias.name, alias.get_name_display()) for alias in aliases), None)

    @admin.action(description="Compare", permissions=["view"])
    def compare(
        self, request: HttpRequest, queryset: QuerySet[ModelVersion]
    ) -> HttpResponseRedirect | None:
        """Only leads to the page."""
        chosen = list(queryset.order_by("model__name", "number")[: comparing.MOST + 1])
        if not comparing.FEWEST <= len(chosen) <= comparing.MOST:
            text = f"Choose {comparing.FEWEST} to {comparing.MOST} versions to compare."
            messages.error(request, text)
            return None
        return HttpResponseRedirect(_comparison(chosen))

    # --- page ---

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        version = context["original"]
        context |= showing.page(version)
        context["rivals"] = _rivals(version)
        context["may_export"] = self.has_export_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        version = self.get_object(request, str(object_id))
        if version is None or version.model.is_retired:
            return []
        return super().get_actions_detail(request, object_id)

    @action(description="Deploy", url_path="deploy", icon="rocket_launch", permissions=["deploy"])
    def deploy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only leads to the form: the app that serves stands above this one."""
        version = self.row(request, object_id)
        url = address("inference_deployment_add", model=version.model_id, version=version.pk)
        return HttpResponseRedirect(url)

    # --- pages of its own ---

    def get_urls(self) -> list[URLPattern]:
        views = (
            ("compare/", self.compare_page, "compare"),
            ("<uuid:object_id>/card/", require_GET(self.card), "card"),
            ("<uuid:object_id>/bundle/", require_POST(self.bundle), "bundle"),
        )
        own = [
            path(route, self.admin_site.admin_view(view), name=f"models_app_modelversion_{name}")
            for route, view, name in views
        ]
        return own + super().get_urls()

    def compare_page(self, request: HttpRequest) -> HttpResponse:
        """Versions side by side."""
        self._refuse_unless(self.has_view_permission(request))
        return pages.show(request)

    def card(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The model card as a file."""
        self._refuse_unless(self.has_view_permission(request))
        version = self.row(request, str(object_id))
        try:
            content = evidence.card_of(version)
        except AegisError as error:
            return self._back(request, version, error)
        name = f"{version.model.name}-v{version.number}.md"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(content, content_type="text/markdown; charset=utf-8", headers=headers)

    def bundle(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """The version as a zip; who takes it is recorded, so that it is no GET."""
        self._refuse_unless(self.has_export_permission(request))
        version = self.row(request, str(object_id))
        try:
            exported = exporting.export_version(version=version, actor=caller(request))
        except AegisError as error:
            return self._back(request, version, error)
        return FileResponse(exported.stream, as_attachment=True, filename=exported.name)

    def _refuse_unless(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied

    def _back(self, request: HttpRequest, version: ModelVersion, error: AegisError) -> HttpResponse:
        messages.error(request, error.detail)
        return HttpResponseRedirect(address("models_app_modelversion_change", version.pk))


def _rivals(version: ModelVersion) -> list[tuple[str, str]]:
    """The versions that people compare this one with: the champion, and the one before."""
    own = version.model.versions.exclude(pk=version.pk).select_related("model")
    champion = own.champion()
    before = own.filter(number__lt=version.number).newest()
    found = {}
    if champion is not None:
        found[champion.pk] = (f"the champion, v{champion.number}", champion)
    if before is not None:
        found.setdefault(before.pk, (f"v{before.number}", before))
    return [(text, _comparison([other, version])) for text, other in found.values()]


def _comparison(versions: list[ModelVersion]) -> str:
    return address("models_app_modelversion_compare", versions=pages.names(versions))
