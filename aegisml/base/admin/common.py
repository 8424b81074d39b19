"""What the admin pages of every app share.

Pages write through services only. A service's refusal appears in the form, next
to the field that it names. Nothing is deleted, and nothing changes on a GET.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator as UnfoldPaginator
from unfold.widgets import UnfoldAdminTextInputWidget

from aegisml.base.errors import AegisError

MAX_LISTED = 10_000


class KeptAdmin(ModelAdmin):
    """Rows that are never deleted."""

    actions: Any = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or a 404."""
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        return found


class ReadOnlyAdmin(KeptAdmin):
    """Rows that people only look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose input a service judges."""

    # what the service said to this input a moment ago
    refusal: AegisError | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal is not None:
            place_errors(self, self.refusal)
        return cleaned


class ServiceAdmin(KeptAdmin):
    """Rows that services write; a subclass's `save_model` calls one."""

    form = ServiceForm

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except AegisError as error:
            # rolled back; the same form again, now with the service's words in it
            request.refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> type[ServiceForm]:
        form: type[ServiceForm] = super().get_form(request, obj, change, **kwargs)
        form.refusal = getattr(request, "refusal", None)
        return form

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without the buttons beside a choice that add and change rows of other pages."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The service wrote the history."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The service wrote the history."""


class ReasonForm(BaseDialogForm):
    """A dialog that asks why."""

    reason = forms.CharField(
        max_length=400, widget=UnfoldAdminTextInputWidget, help_text="It is kept in the history."
    )


class InfinitePaginator(UnfoldPaginator):
    """Pages of a large table without COUNT(*), down to a depth that stays fast.

    The theme's templates know this kind of paginator by its class name.
    """

    @cached_property
    def count(self) -> int:
        return MAX_LISTED


def place_errors(form: forms.BaseForm, error: AegisError) -> None:
    """Put each of a service's field errors next to the form's field that it means."""
    if not error.errors:
        form.add_error(None, error.detail)
    for found in error.errors:
        first, _, rest = found.field.partition(".")
        if rest in form.fields:
            form.add_error(rest, found.message)
        elif first in form.fields:
            form.add_error(first, f"{rest}: {found.message}" if rest else found.message)
        else:
            form.add_error(None, f"{found.field}: {found.message}")


def json_object(value: object) -> dict[str, Any]:
    """`value` when it is a JSON object, {} when it is empty; else a form error."""
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise forms.ValidationError('This must be a JSON object, such as {"max_depth": 6}.')
    return value


@contextmanager
def told(request: HttpRequest, done: str) -> Iterator[None]:
    """Say `done` when the block went well, else what the service refused."""
    try:
        yield
    except AegisError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)


def after_dialog(request: HttpRequest, url: str) -> HttpResponse:
    """Leave a dialog for `url`; HTMX posts it, a browser without JavaScript too."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def link(name: str, text: object, *args: object, **query: str | int | UUID) -> SafeString:
    """An HTML link to an admin page."""
    return format_html('<a class="text-link" href="{}">{}</a>', address(name, *args, **query), text)


def address(name: str, *args: object, **query: str | int | UUID) -> str:
    """The address of the admin page `name`, with a query string."""
    path = reverse(f"admin:{name}", args=args)
    return f"{path}?{urlencode({k: str(v) for k, v in query.items()})}" if query else path


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
