"""The admin of feature sets."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
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
from features.admin.drawing import drawn
from features.admin.forms import SetForm
from features.models import FeatureSet, FeatureSetMember
from features.services import lineage, sets


@admin.register(FeatureSet)
class FeatureSetAdmin(ServiceAdmin):
    form = SetForm
    list_display = ("shown_name", "stream_link", "pins", "features", "created_by", "created_at")
    list_filter = ("stream", "name")
    search_fields = ("name", "description")
    search_help_text = "name or words of the description"
    empty_hint = "A feature set pins the features that a model takes, with their versions."
    ordering = ("-created_at",)
    fields = ("name",)
    add_fieldsets = ((None, {"fields": ("name", "description", "members")}),)
    actions_detail = ("discard",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureSet]:
        return super().get_queryset(request).with_members()

    # --- who may what ---

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a set is never changed; another one takes its name's next number

    def has_discard_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("features.delete_featureset")

    # --- list ---

    @display(description="Feature set", ordering="name")
    def shown_name(self, feature_set: FeatureSet) -> str:
        return str(feature_set)

    @display(description="Stream", ordering="stream__name")
    def stream_link(self, feature_set: FeatureSet) -> str:
        return link("features_stream_change", feature_set.stream, feature_set.stream_id)

    @display(description="Pins")
    def pins(self, feature_set: FeatureSet) -> str:
        return ", ".join(str(member.version) for member in feature_set.members.all())

    @display(description="Features")
    def features(self, feature_set: FeatureSet) -> int:
        return sum(len(member.names) for member in feature_set.members.all())

    # --- pages ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = sets.create_set(
            actor=caller(request),
            name=form.cleaned_data["name"],
            description=form.cleaned_data["description"],
            members=form.chosen_members(),
        )
        obj.pk, obj.made = made.pk, made

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        said = "is pinned" if obj.made.is_new else "holds the same already"
        self.message_user(request, f"{obj.made} {said}.")
        return after_dialog(request, address("features_featureset_change", obj.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        feature_set = context.get("original")
        if feature_set is not None:
            context["members"] = [_member(row) for row in feature_set.members.all()]
            context["drawing"] = drawn(lineage.of_set(feature_set))
        return super().render_change_form(request, context, *args, **kwargs)

    # --- actions ---

    @action(
        description="Discard",
        url_path="discard",
        icon="delete",
        variant=ActionVariant.DANGER,
        permissions=["discard"],
        dialog={
            "title": "Discard this feature set",
            "description": "It is deleted, unless something uses it. Its number isn't reused.",
            "form_class": ReasonForm,
            "form_submit_text": "Discard",
        },
    )
    def discard(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        feature_set = self.row(request, object_id)
        with told(request, f"{feature_set} is gone."):
            sets.discard_set(
                feature_set=feature_set, actor=caller(request), reason=form.cleaned_data["reason"]
            )
        if FeatureSet.objects.filter(pk=object_id).exists():
            return after_dialog(request, address("features_featureset_change", object_id))
        return after_dialog(request, address("features_featureset_changelist"))


def _member(row: FeatureSetMember) -> dict[str, Any]:
    url = address("features_featureviewversion_change", row.version_id)
    return {"version": row.version, "url": url, "names": row.names}
