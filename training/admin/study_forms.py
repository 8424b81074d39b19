"""The form that asks for a study."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from aegisml.base.admin.common import ServiceForm, json_object
from models_app.models import RegisteredModel
from training.admin.forms import dataset_choices, in_our_words
from training.models import Study
from training.services import studies as services

# the service's words for our fields
OURS = {
    "from": "since", "to": "until", "trials": "trials_wanted", "automl": "is_automl",
}  # fmt: skip


def _json(label: str, help_text: str) -> forms.JSONField:
    return forms.JSONField(
        label=label, required=False, initial=dict, help_text=help_text,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )  # fmt: skip


class TuneForm(ServiceForm):
    dataset_path = forms.ChoiceField(
        label="Dataset", choices=dataset_choices, required=False, widget=UnfoldAdminSelectWidget
    )
    is_automl = forms.BooleanField(
        label="AutoML", required=False, widget=UnfoldBooleanSwitchWidget,
        help_text="search over algorithms too, and end with an ensemble if it wins",
    )  # fmt: skip
    algorithms = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget,
        help_text="separated by commas; default: the model's, of AutoML all that suit the data",
    )  # fmt: skip
    trials_wanted = forms.IntegerField(
        label="Trials", required=False, widget=UnfoldAdminIntegerFieldWidget,
        help_text="30 where neither is given",
    )  # fmt: skip
    time_budget_seconds = forms.IntegerField(
        label="Time budget", required=False, widget=UnfoldAdminIntegerFieldWidget,
        help_text="seconds, from the first trial on",
    )  # fmt: skip
    space = _json(
        "Space", 'such as {"max_depth": {"low": 2, "high": 8}}; empty: one that suits the algorithm'
    )
    parameters = _json(
        "Parameters", 'what all trials have in common, such as {"seed": 7, "n_estimators": 300}'
    )

    class Meta:
        model = Study
        fields = (
            "model", "dataset_path", "feature_set", "since", "until", "metric", "sampler",
            "pruner", "workers", "reason",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.refusal is not None:
            self.refusal = in_our_words(self.refusal, OURS)
        if "model" in self.fields:
            active = RegisteredModel.objects.active().order_by("name")
            self.fields["model"].queryset = active  # type: ignore[attr-defined]

    def _get_validation_exclusions(self) -> set[str]:
        # without the table's constraints on them: the service names the field that is wrong
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"feature_set", "trials_wanted", "time_budget_seconds", "algorithms"}

    def clean_space(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["space"])

    def clean_parameters(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["parameters"])

    def clean_algorithms(self) -> tuple[str, ...]:
        names = self.cleaned_data["algorithms"].split(",")
        return tuple(name.strip() for name in names if name.strip())

    def source(self) -> services.Source:
        names = ("dataset_path", "feature_set", "since", "until")
        return services.Source(**{name: self.cleaned_data[name] for name in names})

    def plan(self) -> services.Plan:
        given = self.cleaned_data
        same = ("algorithms", "is_automl", "metric", "sampler", "pruner", "workers")
        return services.Plan(
            space=given["space"] or None,
            trials=given["trials_wanted"],
            time_budget_seconds=given["time_budget_seconds"],
            **{name: given[name] for name in same},
        )
