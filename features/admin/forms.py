"""Forms of the feature store's definitions."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from aegisml.base.admin.common import ServiceForm
from features.choices import VersionStatus
from features.ml import listing
from features.models import Entity, FeatureSet, FeatureView, FeatureViewVersion, Stream

# people read a feature by its name first; PostgreSQL keeps keys in an order of its own
KEY_ORDER = (
    "name", "type", "aggregate", "expression", "sequence", "of", "length", "window", "lag", "where",
    "default", "required", "min", "max", "allowed", "max_length", "event_id", "event_time",
    "known_time", "label", "timezone", "future_seconds", "entities", "entity", "ttl", "fields",
    "features",
)  # fmt: skip
LISTS = ("fields", "features")
EVERY = "*"
SCHEMA_EXAMPLE = {
    "event_id": "transaction_id", "event_time": "timestamp", "label": "is_fraud",
    "timezone": "UTC", "entities": {"customer": "customer_id"},
    "fields": [
        {"name": "transaction_id", "type": "text", "required": True},
        {"name": "timestamp", "type": "time", "required": True},
        {"name": "customer_id", "type": "integer", "required": True},
        {"name": "amount", "type": "number", "required": True, "min": 0},
        {"name": "channel", "type": "text", "allowed": ["card", "online"]},
        {"name": "is_fraud", "type": "boolean"},
    ],
}  # fmt: skip
VIEW_EXAMPLE = {
    "ttl": "30d",
    "features": [
        {"name": "payments_7d", "aggregate": "count", "window": "7d"},
        {"name": "mean_amount_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
        {"name": "amount_to_mean_7d", "expression": "ratio(amount, mean_amount_7d)"},
    ],
}


def spelled(definition: Mapping[str, Any]) -> str:
    """A definition as JSON for people: one line a field or feature, names first."""
    lines = []
    for key, value in _ordered(definition).items():
        if key in LISTS and isinstance(value, list):
            rows = ",\n".join(f"    {_compact(row)}" for row in value)
            lines.append(f'  "{key}": [\n{rows}\n  ]')
        else:
            lines.append(f"  {json.dumps(key)}: {_compact(value)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _compact(value: Any) -> str:
    return json.dumps(_ordered(value) if isinstance(value, Mapping) else value, ensure_ascii=False)


def _ordered(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: row[key] for key in KEY_ORDER if key in row}
    return {**known, **{key: value for key, value in row.items() if key not in known}}


class DefinitionField(forms.JSONField):
    """A definition that is edited as JSON."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 18, "spellcheck": "false"})
        widget.attrs["class"] += " ag-mono"
        super().__init__(widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return spelled(value)
        return value if isinstance(value, InvalidJSONInput) else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except (RecursionError, ValueError):  # nested too deep, a number of thousands of digits
            return InvalidJSONInput(data)

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except (RecursionError, ValueError):
            raise forms.ValidationError(
                "This is nested too deep, or holds a number too long."
            ) from None
        if not isinstance(found, dict | None):
            raise forms.ValidationError("This must be a JSON object.")
        return found


class DescribedForm(ServiceForm):
    """A form with a short description."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "description" in self.fields:  # not on a page that only shows
            self.fields["description"].widget.attrs["rows"] = 3


class StreamForm(DescribedForm):
    definition = DefinitionField(
        label="Schema",
        initial=SCHEMA_EXAMPLE,
        help_text="Types: number, integer, boolean, text, time. Entities map a name to the field "
        "of its key. Optional: min, max, allowed, required, known_time, future_seconds.",
    )

    class Meta:
        model = Stream
        fields = ("name", "description", "policy", "label_delay_days", "definition")


class EntityForm(DescribedForm):
    class Meta:
        model = Entity
        fields = ("name", "description")


class ViewForm(DescribedForm):
    """A view with its first version, or the next version of a view."""

    definition = DefinitionField(
        initial=VIEW_EXAMPLE,
        help_text="A change makes the next version, which is staged until it is promoted.",
    )
    note = forms.CharField(
        required=False, max_length=400, widget=UnfoldAdminTextInputWidget,
        help_text="what changed, and why",
    )  # fmt: skip

    class Meta:
        model = FeatureView
        fields = ("name", "stream", "entity", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = self.instance.versions.first() if self.instance.pk else None
        if newest is not None:
            shown = {key: value for key, value in newest.definition.items() if key != "entity"}
            self.initial["definition"] = shown


class SetForm(DescribedForm):
    """A set's features by check boxes, grouped by the view version that they come from."""

    members = forms.MultipleChoiceField(
        label="Features", widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Of views that read one stream. A transform needs none of what it reads.",
    )  # fmt: skip

    class Meta:
        model = FeatureSet
        fields = ("name", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:  # a page that only shows offers nothing
            self.fields["members"].choices = member_choices()  # type: ignore[attr-defined]

    def chosen_members(self) -> list[dict[str, Any]]:
        """What the service takes as `members`."""
        chosen: dict[str, list[str]] = defaultdict(list)
        for value in self.cleaned_data["members"]:
            pin, _, name = value.partition("/")
            chosen[pin].append(name)
        return [
            {"view": pin, "features": None if EVERY in names else names}
            for pin, names in chosen.items()
        ]


def member_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every feature of every version that isn't superseded."""
    versions = FeatureViewVersion.objects.select_related("view__stream").exclude(
        status=VersionStatus.SUPERSEDED
    )
    return [
        (
            f"{version} ({version.get_status_display().lower()}, of {version.view.stream})",
            [(f"{version}/{EVERY}", "All of them"), *_features_of(version)],
        )
        for version in versions.order_by("view__stream__name", "view__name", "-number")
    ]


def _features_of(version: FeatureViewVersion) -> list[tuple[str, str]]:
    lines = listing.lines(version.compiled)
    return [(f"{version}/{line.name}", f"{line.name}: {line.in_words}") for line in lines]
