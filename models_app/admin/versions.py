"""The admin of model versions: the evidence about each, to read before it is deployed."""

from typing import Any

import orjson
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.decorators import action, display

from aegisml.base.admin.common import ReadOnlyAdmin, address, link
from models_app import bundles
from models_app.choices import AliasName
from models_app.errors import BundleRefused
from models_app.models import ModelVersion

ALIAS_COLORS = {
    AliasName.CHAMPION: "success", AliasName.CHALLENGER: "info", AliasName.SHADOW: "warning"
}  # fmt: skip
METRICS = (
    ("rows", "Rows"),
    ("frauds", "Frauds"),
    ("prevalence", "Share of fraud"),
    ("auroc", "AUROC"),
    ("average_precision", "Average precision"),
    ("threshold", "Threshold"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("f1", "F1"),
)


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
    actions_detail = ("deploy",)

    def has_deploy_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("inference.add_deployment")

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
        return f"{version.metrics['test']['auroc']:.4f}"

    @display(description="Average precision", ordering="metrics__test__average_precision")
    def average_precision(self, version: ModelVersion) -> str:
        return f"{version.metrics['test']['average_precision']:.4f}"

    @display(description="Aliases", label=ALIAS_COLORS)
    def shown_aliases(self, version: ModelVersion) -> tuple[str, str] | None:
        aliases = version.aliases.all()  # prefetched
        return next(((alias.name, alias.get_name_display()) for alias in aliases), None)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= _page(context["original"])
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


def _page(version: ModelVersion) -> dict[str, Any]:
    test, validation = version.metrics["test"], version.metrics["validation"]
    return {
        "metrics": [(label, test.get(name), validation.get(name)) for name, label in METRICS],
        "confusion": test["confusion_matrix"],
        "features": version.signature["features"],
        "dataset": version.lineage["dataset"],
        "split": version.lineage["split"],
        "libraries": version.lineage["libraries"],
        "code_version": version.lineage.get("code_version"),
        **_bundle(version),
    }


def _bundle(version: ModelVersion) -> dict[str, Any]:
    """The files and what they say, or why they can't be trusted."""
    try:
        manifest, files = bundles.read(version.bundle_folder, digest=version.bundle_digest)
    except BundleRefused as error:
        return {"refused": error.detail}
    return {
        "files": [
            (name, len(files[name]), digest) for name, digest in sorted(manifest["files"].items())
        ],
        "policy": orjson.loads(files["policy.json"]),
        "card": files["card.md"].decode(),
    }
