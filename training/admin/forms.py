"""The form that asks for a training."""

import os
from collections.abc import Iterator, Mapping
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
    UnfoldBooleanSwitchWidget,
)

from aegisml.base.admin.common import ServiceForm, json_object
from aegisml.base.errors import AegisError, FieldError
from models_app.models import RegisteredModel
from training.choices import Priority
from training.ml.reading import SUFFIXES
from training.models import TrainingJob
from training.options import CALIBRATIONS, DEFAULTS, KNOWN_ENTITIES, OVERRIDES, POLICIES, SPLITS
from training.services import jobs as services

MAX_FILES = 1000
OURS = {"from": "since", "to": "until"}  # our fields, by the service's words for them
LISTS = ("exclude_columns", "segment_columns", "members")
# the form's fields that are the pipeline's own parameters as they are
OPTIONS = (
    "label_column", "time_column", "label_delay_days", "validation_split", "test_split",
    "test_from", "split", "seed", "refit", "calibration", "amount_column", "entity_column",
    "typology_column", "known_entities", *LISTS,
)  # fmt: skip
# left out of a request when they say what is done anyway
QUIET = ("split", "refit", "calibration", "known_entities")
NUMBERS = ("review_cost", "missed_share", "alerts", "precision")  # of the rules
RULES = {
    "max_f1": "best F1",
    "cost": "least cost: reviews against missed fraud",
    "alerts_per_day": "as many alerts a day as the team can look at",
    "precision_floor": "most fraud at a least precision",
}
FOUND = "found by its name when empty"


def _share(label: str, default: float) -> forms.FloatField:
    return forms.FloatField(
        label=label, initial=default, required=False, help_text="0.01 to 0.5",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "0.01"}),
    )  # fmt: skip


def _column(help_text: str) -> forms.CharField:
    return forms.CharField(required=False, widget=UnfoldAdminTextInputWidget, help_text=help_text)


def _number(label: str, help_text: str) -> forms.FloatField:
    return forms.FloatField(
        label=label, required=False, widget=UnfoldAdminDecimalFieldWidget, help_text=help_text
    )


def _choice(name: str, choices: Any, label: str | None = None, **kwargs: Any) -> forms.ChoiceField:
    named = [(value, value.replace("_", " ")) for value in choices]
    return forms.ChoiceField(
        label=label, choices=named, initial=DEFAULTS.get(name), required=False,
        widget=UnfoldAdminSelectWidget, **kwargs,
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


def in_our_words(refusal: AegisError, ours: Mapping[str, str]) -> AegisError:
    """The refusal with the names that the form's fields have: `ours` by the service's."""
    found = [FieldError(ours.get(e.field, e.field), e.message) for e in refusal.errors]
    return AegisError(refusal.detail, errors=found)


class TrainForm(ServiceForm):
    dataset_path = forms.ChoiceField(
        label="Dataset", choices=dataset_choices, required=False, widget=UnfoldAdminSelectWidget
    )
    label_column = _column(FOUND)
    time_column = _column(FOUND)
    label_delay_days = _number(
        "Label delay days", "days until fraud is known; leaves that gap between the splits"
    )
    exclude_columns = _column("separated by commas")
    validation_split = _share("Validation share", DEFAULTS["validation_split"])
    test_split = _share("Test share", DEFAULTS["test_split"])
    test_from = _column("in place of the share: such as 2026-03-01T00:00:00Z")
    split = _choice("split", SPLITS, help_text="a random one of rows with times needs an override")
    seed = forms.IntegerField(
        initial=DEFAULTS["seed"],
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="the same seed gives the same version",
    )
    refit = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget,
        help_text="fit again with the validation rows once thresholds are chosen",
    )  # fmt: skip
    calibration = _choice("calibration", CALIBRATIONS, help_text="auto: what lowers the error")
    policy = forms.ChoiceField(
        label="Thresholds", choices=list(RULES.items()), required=False,
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    review_cost = _number("Cost of a review", "for least cost; in money")
    missed_share = _number("Lost share", "for least cost: of a missed fraud's amount")
    alerts = forms.IntegerField(
        label="Alerts a day", required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    precision = _number("Least precision", "0.01 to 1")
    amount_column = _column(FOUND)
    entity_column = _column("the card or customer; " + FOUND)
    segment_columns = _column("metrics for each value; separated by commas")
    typology_column = _column("the kind of fraud; never a feature")
    known_entities = _choice(
        "known_entities", KNOWN_ENTITIES, "Known entities",
        help_text="test rows of those whose fraud is known already",
    )  # fmt: skip
    overrides = _choice("overrides", ("", *OVERRIDES), "Override")
    override_reason = _column("why it may pass; kept with the version")
    members = _column("of an ensemble: versions such as card_fraud@3, separated by commas")
    parameters = forms.JSONField(
        required=False, initial=dict, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        label="Other parameters",
        help_text='They override the model\'s for this run, such as {"n_estimators": 300}.',
    )  # fmt: skip
    allow_duplicate = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget,
        help_text="even if the same training is queued or running",
    )  # fmt: skip

    class Meta:
        model = TrainingJob
        fields = (
            "model", "priority", "dataset_path", "feature_set", "since", "until", "parameters",
            "reason",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.refusal is not None:
            self.refusal = in_our_words(self.refusal, OURS)
        if "model" in self.fields:
            active = RegisteredModel.objects.active().order_by("name")
            self.fields["model"].queryset = active  # type: ignore[attr-defined]
            self.fields["priority"].required = False

    def _get_validation_exclusions(self) -> set[str]:
        # without the table's constraint on it: the service names the field that is wrong
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"feature_set", "priority"}

    def clean_parameters(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["parameters"])

    def clean(self) -> dict[str, Any] | None:
        for name in LISTS:
            names = self.cleaned_data.get(name, "").split(",")
            self.cleaned_data[name] = [text.strip() for text in names if text.strip()]
        return super().clean()

    def source(self) -> services.Source:
        names = ("dataset_path", "feature_set", "since", "until")
        return services.Source(**{name: self.cleaned_data[name] for name in names})

    def terms(self) -> services.Terms:
        return services.Terms(
            priority=Priority(self.cleaned_data["priority"] or Priority.NORMAL),
            allow_duplicate=self.cleaned_data["allow_duplicate"],
        )

    def run_parameters(self) -> dict[str, Any]:
        """What the service takes as `parameters`; fields left empty are left out."""
        chosen = {name: self.cleaned_data[name] for name in OPTIONS}
        given = {name: value for name, value in chosen.items() if value not in (None, "", [])}
        for name in QUIET:
            if given.get(name) == DEFAULTS[name]:
                del given[name]
        if "test_from" in given:
            given.pop("test_split", None)
        return {**given, **self._policy(), **self._overrides(), **self.cleaned_data["parameters"]}

    def _policy(self) -> dict[str, Any]:
        rule = self.cleaned_data["policy"] or "max_f1"
        known = {name: self.cleaned_data[name] for name in NUMBERS if name in POLICIES[rule]}
        numbers = {name: value for name, value in known.items() if value is not None}
        return {"policy": {"rule": rule, **numbers}} if rule != "max_f1" else {}

    def _overrides(self) -> dict[str, Any]:
        kind = self.cleaned_data["overrides"]
        return {"overrides": {kind: self.cleaned_data["override_reason"]}} if kind else {}
