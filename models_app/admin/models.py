"""The admin of registered models."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from aegisml.base.admin.common import (
    ReasonForm,
    ServiceAdmin,
    address,
    after_dialog,
    link,
    told,
)
from aegisml.base.auth.rest import caller
from models_app.admin import importing
from models_app.admin.forms import ModelForm
from models_app.choices import AliasName, Tier
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import registry

TIER_COLORS = {Tier.LOW: "success", Tier.MEDIUM: "info", Tier.HIGH: "warning"}
SHOWN_VERSIONS = 5


class RetiredFilter(admin.SimpleListFilter):
    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "In use"), ("retired", "Retired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        return queryset.filter(retired_at__isnull=self.value() == "active")


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ServiceAdmin):
    form = ModelForm
    list_display = ("name", "algorithm", "shown_tier", "owner", "champion", "newest", "state")
    list_filter = (RetiredFilter, "algorithm", "tier", "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "description")
    search_help_text = "name or words of the description"
    fieldsets = (
        (None, {"fields": (("name", "owner"), ("algorithm", "tier"), "description", "tags")}),
        ("Training", {"fields": ("parameters",)}),
    )
    actions_detail = ("train", "bring", "deploy", "retire")

    # --- who may what ---

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if isinstance(obj, RegisteredModel) and obj.is_retired:
            return False
        return super().has_change_permission(request, obj)

    def has_train_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("training.add_trainingjob")

    def has_bring_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("models_app.add_modelversion")

    def has_deploy_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("inference.add_deployment")

    def has_retire_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("models_app.delete_registeredmodel")

    # --- list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        return super().get_queryset(request).with_versions()

    @display(description="Tier", ordering="tier", label=TIER_COLORS)
    def shown_tier(self, model: RegisteredModel) -> tuple[str, str]:
        return model.tier, model.get_tier_display()

    @display(description="Champion")
    def champion(self, model: RegisteredModel) -> str:
        version = _champion(model)
        if version is None:
            return "-"
        return link("models_app_modelversion_change", f"v{version.number}", version.pk)

    @display(description="Newest", ordering="newest_version")
    def newest(self, model: RegisteredModel) -> str:
        number = model.newest_version  # type: ignore[attr-defined]
        return f"v{number}" if number else "-"

    @display(description="State", label={"Serving": "success", "Retired": "danger"})
    def state(self, model: RegisteredModel) -> str:
        if model.is_retired:
            return "Retired"
        return "Serving" if _champion(model) else "Not serving"

    # --- form ---

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        trained = isinstance(obj, RegisteredModel) and obj.newest_version  # type: ignore[attr-defined]
        return ("name", "algorithm") if trained else ()

    def formfield_for_foreignkey(
        self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> Any:
        kwargs["queryset"] = User.objects.filter(is_active=True).order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        if change:
            registry.update_model(model=obj, actor=request.user, **values)  # type: ignore[arg-type]
        else:
            obj.pk = registry.create_model(actor=request.user, **values).pk  # type: ignore[arg-type]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        model = context.get("original")
        if model is not None:
            context |= _summary(model)
        return super().render_change_form(request, context, *args, **kwargs)

    # --- actions ---

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        model = self.get_object(request, str(object_id))
        if model is None or model.is_retired:
            return []
        actions = super().get_actions_detail(request, object_id)
        if not model.newest_version:
            return [found for found in actions if found.path != "deploy"]
        return actions

    @action(description="Train", url_path="train", icon="exercise", permissions=["train"])
    def train(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only leads to the form: the app that trains stands above this one."""
        return HttpResponseRedirect(address("training_trainingjob_add", model=object_id))

    @action(description="Import", url_path="bring", icon="upload", permissions=["bring"])
    def bring(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only leads to the form."""
        return HttpResponseRedirect(address("models_app_registeredmodel_import", object_id))

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.import_page)
        own = path("<uuid:object_id>/import/", page, name="models_app_registeredmodel_import")
        return [own, *super().get_urls()]

    def import_page(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The form that brings a file in."""
        if not self.has_bring_permission(request):
            raise PermissionDenied
        return importing.show(request, self.row(request, str(object_id)))

    @action(description="Deploy", url_path="deploy", icon="rocket_launch", permissions=["deploy"])
    def deploy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only leads to the form: the app that serves stands above this one."""
        return HttpResponseRedirect(address("inference_deployment_add", model=object_id))

    @action(
        description="Retire",
        url_path="retire",
        icon="archive",
        variant=ActionVariant.DANGER,
        permissions=["retire"],
        dialog={
            "title": "Retire this model",
            "description": "It can't be trained or deployed any more. Its history stays.",
            "form_class": ReasonForm,
            "form_submit_text": "Retire",
        },
    )
    def retire(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        model = self.row(request, object_id)
        with told(request, f"{model.name} is retired."):
            registry.retire_model(
                model=model,
                actor=caller(request),
                reason=form.cleaned_data["reason"],
            )
        return after_dialog(request, address("models_app_registeredmodel_change", object_id))


def _champion(model: RegisteredModel) -> ModelVersion | None:
    aliases = model.aliases.all()  # prefetched
    return next((alias.version for alias in aliases if alias.name == AliasName.CHAMPION), None)


def _summary(model: RegisteredModel) -> dict[str, Any]:
    """What stands above the form: versions, and ways to this model's rows in other apps."""
    versions = model.versions.order_by("-number").prefetch_related("aliases")
    pages = (
        ("All versions", "models_app_modelversion"),
        ("Training jobs", "training_trainingjob"),
        ("Deployments", "inference_deployment"),
        ("Predictions", "inference_prediction"),
    )
    return {
        "versions": versions[:SHOWN_VERSIONS],
        "related_pages": [
            (title, f"{reverse(f'admin:{page}_changelist')}?model__id__exact={model.pk}")
            for title, page in pages
        ],
    }
