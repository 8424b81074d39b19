"""Users, their roles, and their API sessions."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from aegisml.base import audit
from aegisml.base.admin.common import (
    KeptAdmin,
    ReadOnlyAdmin,
    ReasonForm,
    address,
    after_dialog,
    link,
    told,
)
from aegisml.base.auth import roles, tokens
from aegisml.base.models import ApiSession

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, KeptAdmin):  # type: ignore[type-arg]
    """Accounts are switched off, not deleted: the history names them."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "shown_roles", "is_active", "last_login")
    list_filter = ("groups", "is_active", "is_staff")
    filter_horizontal = ()
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2", "groups", "is_staff")}),
    )
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("groups", "is_active", "is_staff", "is_superuser")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if isinstance(obj, User) and not _may_change(request, obj):
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Only a superuser makes superusers: else whoever may edit people has every right."""
        fixed = ("last_login", "date_joined")
        return fixed if _is_superuser(request) else (*fixed, "is_superuser")

    @display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description="Roles", label=True)
    def shown_roles(self, user: User) -> list[str]:
        return sorted(group.name for group in user.groups.all())


def _may_change(request: HttpRequest, user: User) -> bool:
    if user.username == audit.SYSTEM_USERNAME:
        return False
    return _is_superuser(request) or not user.is_superuser


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, KeptAdmin):
    """The roles' groups get their permissions from the code at every start."""

    list_display = ("name", "members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(member_count=Count("user"))

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        if isinstance(obj, Group) and obj.name in roles.ALL:
            return False
        return bool(super().has_change_permission(request, obj))

    @display(description="Members", ordering="member_count")
    def members(self, group: Group) -> str:
        count = group.member_count  # type: ignore[attr-defined]
        return link("auth_user_changelist", count, groups__id__exact=group.pk)


@admin.register(ApiSession)
class ApiSessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "state", "created_at", "refreshed_at", "expires_at", "user_agent")
    list_filter = ("user",)
    list_select_related = ("user",)
    search_fields = ("user__username", "user_agent")
    fields = (
        "user",
        "state",
        "created_at",
        "refreshed_at",
        "expires_at",
        "revoked_at",
        "user_agent",
    )
    readonly_fields = fields
    actions = ("revoke_selected",)
    actions_detail = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("base.change_apisession")

    @display(description="State", label={"Live": "success", "Revoked": "danger"})
    def state(self, session: ApiSession) -> str:
        if session.revoked_at is not None:
            return "Revoked"
        return "Live" if session.is_live else "Expired"

    @admin.action(description="Revoke the selected sessions", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiSession]) -> None:
        live = [session for session in queryset.select_related("user") if session.is_live]
        for session in live:
            _revoke(session, request, "from the list")
        self.message_user(request, f"{len(live)} live session(s) revoked.")

    @action(
        description="Revoke",
        url_path="revoke",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["revoke"],
        dialog={
            "title": "Revoke this session",
            "description": f"Its tokens stop working within {tokens.RECHECK_SECONDS} seconds.",
            "form_class": ReasonForm,
            "form_submit_text": "Revoke",
        },
    )
    def revoke(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        session = self.row(request, object_id)
        with told(request, "The session is revoked."):
            _revoke(session, request, form.cleaned_data["reason"])
        return after_dialog(request, address("base_apisession_change", object_id))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        session = self.get_object(request, str(object_id))
        if session is None or not session.is_live:
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered


@transaction.atomic
def _revoke(session: ApiSession, request: HttpRequest, reason: str) -> None:
    tokens.close_session(session_id=str(session.pk))
    audit.record(actor=request.user, row=session, what=f"Revoked. {reason}")  # type: ignore[arg-type]
