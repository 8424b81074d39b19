"""The admin of deployments: what serves, what served, and who put it there."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from aegisml.base import ids
from aegisml.base.admin.common import (
    ReasonForm,
    ServiceAdmin,
    ServiceForm,
    address,
    after_dialog,
    link,
    told,
)
from aegisml.base.auth.rest import caller
from aegisml.base.errors import Conflict
from inference import services
from inference.choices import DeploymentStatus
from inference.models import Deployment
from models_app.models import ModelVersion, RegisteredModel

STATUS_COLORS = {
    DeploymentStatus.ACTIVE: "success",
    DeploymentStatus.SUPERSEDED: "default",
    DeploymentStatus.ENDED: "warning",
}
RELATED = ("model", "version__model", "created_by")


class VersionChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        test = obj.metrics.get("test")
        if not test:  # imported, or trained without labels
            return f"v{obj.number}: not measured, of {obj.created_at:%Y-%m-%d %H:%M}"
        return (
            f"v{obj.number}: AUROC {test['auroc']:.3f}, average precision"
            f" {test['average_precision']:.3f}, trained {obj.created_at:%Y-%m-%d %H:%M}"
        )


class DeployForm(ServiceForm):
    version = VersionChoice(
        queryset=ModelVersion.objects.none(), required=False, empty_label="Newest",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip

    class Meta:
        model = Deployment
        fields = ("model", "version", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "model" not in self.fields:  # a page that only shows
            return
        self.fields["model"].queryset = (  # type: ignore[attr-defined]
            RegisteredModel.objects.active()
            .filter(versions__isnull=False)
            .distinct()
            .order_by("name")
        )
        self.fields["reason"].required = True
        # the versions to choose from follow the model: HTMX asks this page for them
        self.fields["model"].widget.attrs |= {
            "hx-get": address("inference_deployment_add"),
            "hx-target": "#id_version",
            "hx-select": "#id_version",
            "hx-swap": "outerHTML",
        }
        chosen = ids.parse_uuid(str(self["model"].value() or ""))
        if chosen:
            versions = ModelVersion.objects.filter(model_id=chosen).order_by("-number")
            self.fields["version"].queryset = versions  # type: ignore[attr-defined]

    def validate_constraints(self) -> None:
        """The service ends the model's active deployment before it makes the new one."""


@admin.register(Deployment)
class DeploymentAdmin(ServiceAdmin):
    form = DeployForm
    list_display = (
        "deployed", "model_link", "version_link", "status_label", "by", "ended", "reason",
    )  # fmt: skip
    list_filter = ("status", "model")
    list_select_related = RELATED
    search_fields = ("model__name", "reason")
    search_help_text = "model or reason"
    fieldsets = (
        (None, {"fields": (("model_link", "version_link"), ("status", "by"), "reason")}),
        ("Served", {"fields": (("deployed", "ended"),)}),
    )
    add_fieldsets = ((None, {"fields": ("model", "version", "reason")}),)
    readonly_fields = ("model_link", "version_link", "status", "deployed", "ended", "by")
    actions_detail = ("undeploy", "deploy_again")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        return super().get_queryset(request).select_related(*RELATED)

    # --- who may what ---

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a deployment is changed by its buttons

    def has_steer_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("inference.change_deployment")

    def has_deploy_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.has_add_permission(request)

    # --- list ---

    @display(description="Model", ordering="model__name")
    def model_link(self, deployment: Deployment) -> str:
        return link("models_app_registeredmodel_change", deployment.model, deployment.model_id)

    @display(description="Version", ordering="version__number")
    def version_link(self, deployment: Deployment) -> str:
        text = f"v{deployment.version.number}"
        return link("models_app_modelversion_change", text, deployment.version_id)

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def status_label(self, deployment: Deployment) -> tuple[str, str]:
        return deployment.status, deployment.get_status_display()

    @display(description="From", ordering="created_at")
    def deployed(self, deployment: Deployment) -> datetime:
        return deployment.created_at

    @display(description="Until", ordering="ended_at", empty_value="now")
    def ended(self, deployment: Deployment) -> datetime | None:
        return deployment.ended_at

    @display(description="Deployed by", ordering="created_by__username")
    def by(self, deployment: Deployment) -> str:
        return deployment.created_by.get_username()

    # --- form ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        version = form.cleaned_data["version"]
        made = services.deploy(
            model=form.cleaned_data["model"],
            actor=caller(request),
            number=version.number if version else None,
            reason=form.cleaned_data["reason"],
        )
        obj.pk, obj.version = made.pk, made.version

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        self.message_user(request, f"{obj.version} is deployed.")
        return after_dialog(request, address("inference_deployment_change", obj.pk))

    # --- actions ---

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        deployment = self.get_object(request, str(object_id))
        if deployment is None or deployment.model.is_retired:
            return []
        active = deployment.status == DeploymentStatus.ACTIVE
        wanted = "undeploy" if active else "deploy-again"
        actions = super().get_actions_detail(request, object_id)
        return [found for found in actions if found.path == wanted]

    @action(
        description="Undeploy",
        url_path="undeploy",
        icon="power_settings_new",
        variant=ActionVariant.DANGER,
        permissions=["steer"],
        dialog={
            "title": "Stop serving this model",
            "description": "Callers get 503 until a version is deployed again.",
            "form_class": ReasonForm,
            "form_submit_text": "Undeploy",
        },
    )
    def undeploy(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        deployment = self.row(request, object_id)
        with told(request, f"{deployment.model} isn't served any more."):
            # the page may be old: another version must not be stopped by its button
            if deployment.status != DeploymentStatus.ACTIVE:
                raise Conflict("This deployment isn't the active one any more.")
            services.undeploy(
                model=deployment.model,
                actor=caller(request),
                reason=form.cleaned_data["reason"],
            )
        return after_dialog(request, address("inference_deployment_change", object_id))

    @action(
        description="Deploy again",
        url_path="deploy-again",
        icon="history",
        permissions=["deploy"],
        dialog={
            "title": "Go back to this version",
            "description": "It replaces the version that serves now.",
            "form_class": ReasonForm,
            "form_submit_text": "Deploy",
        },
    )
    def deploy_again(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        before = self.row(request, object_id)
        shown = object_id
        with told(request, f"{before.version} is deployed."):
            made = services.deploy(
                model=before.model,
                actor=caller(request),
                number=before.version.number,
                reason=form.cleaned_data["reason"],
            )
            shown = str(made.pk)
        return after_dialog(request, address("inference_deployment_change", shown))
