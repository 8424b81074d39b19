"""The form that asks for a training."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from aegisml.base.admin.common import ServiceForm, json_object
from aegisml.base.errors import AegisError, FieldError
from models_app.models import RegisteredModel
from training import services
from training.ml.reading import SUFFIXES
from training.models import TrainingJob
from training.options import DEFAULTS

MAX_FILES = 1000
OURS = {"from": "since", "to": "until"}  # our fields, by the service's words for them
# the form's fields that are the pipeline's own parameters
OPTIONS = (
    "label_column", "time_column", "label_delay_days", "exclude_columns", "validation_split",
    "test_split", "seed",
)  # fmt: skip


def _share(label: str, default: float) -> forms.FloatField:
    return forms.FloatField(
        label=label, initial=default, help_text="0.01 to 0.5",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "0.01"}),
    )  # fmt: skip


def dataset_choices() -> list[tuple[str, str]]:
    """Files below the data root that training can read, by path."""
    root = Path(settings.DATA_ROOT)
    found = sorted(_files(root))
    if not found:
        return [("", f"There is no {', '.join(SUFFIXES)} file below {root}")]
    named = [(path, f"{path} ({filesizeformat(size)})") for path, size in found]
    return [("", "Select a file"), *named]


def _files(root: Path) -> Iterator[tuple[str, int]]:
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or not name.lower().endswith(SUFFIXES) or path.is_symlink():
                continue
            count += 1
            if count > MAX_FILES:
                return
            yield str(path.relative_to(root)), path.stat().st_size


def _in_our_words(refusal: AegisError) -> AegisError:
    """The refusal with the names that the form's fields have."""
    found = [FieldError(OURS.get(e.field, e.field), e.message) for e in refusal.errors]
    return AegisError(refusal.detail, errors=found)


class TrainForm(ServiceForm):
    dataset_path = forms.ChoiceField(
        label="Dataset", choices=dataset_choices, required=False, widget=UnfoldAdminSelectWidget
    )
    label_column = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="found by its name when empty"
    )
    time_column = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="found by its name when empty"
    )
    label_delay_days = forms.FloatField(
        required=False, widget=UnfoldAdminDecimalFieldWidget,
        help_text="days until fraud is known; leaves that gap between the splits",
    )  # fmt: skip
    exclude_columns = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="separated by commas"
    )
    validation_split = _share("Validation share", DEFAULTS["validation_split"])
    test_split = _share("Test share", DEFAULTS["test_split"])
    seed = forms.IntegerField(
        initial=DEFAULTS["seed"],
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="the same seed gives the same version",
    )
    parameters = forms.JSONField(
        required=False, initial=dict, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        label="Other parameters",
        help_text='They override the model\'s for this run, such as {"n_estimators": 300}.',
    )  # fmt: skip

    class Meta:
        model = TrainingJob
        fields = (
            "model", "dataset_path", "feature_set", "since", "until", "parameters", "reason"
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.refusal is not None:
            self.refusal = _in_our_words(self.refusal)
        if "model" in self.fields:
            active = RegisteredModel.objects.active().order_by("name")
            self.fields["model"].queryset = active  # type: ignore[attr-defined]

    def _get_validation_exclusions(self) -> set[str]:
        # without the table's constraint on it: the service names the field that is wrong
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"feature_set"}

    def clean_parameters(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["parameters"])

    def clean_exclude_columns(self) -> list[str]:
        names = self.cleaned_data["exclude_columns"].split(",")
        return [name.strip() for name in names if name.strip()]

    def source(self) -> services.Source:
        names = ("dataset_path", "feature_set", "since", "until")
        return services.Source(**{name: self.cleaned_data[name] for name in names})

    def run_parameters(self) -> dict[str, Any]:
        """What the service takes as `parameters`; fields left empty are left out."""
        chosen = {name: self.cleaned_data[name] for name in OPTIONS}
        given = {name: value for name, value in chosen.items() if value not in (None, "", [])}
        return {**given, **self.cleaned_data["parameters"]}
