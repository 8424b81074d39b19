"""Forms of the registry's admin."""

import json
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from aegisml.base.admin.common import ServiceForm, json_object
from models_app.ml.algorithms import PARAMETERS, Parameter
from models_app.models import RegisteredModel


class IndentedEncoder(json.JSONEncoder):
    """JSON as people edit it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "indent": 2, "sort_keys": True})


class ModelForm(ServiceForm):
    class Meta:
        model = RegisteredModel
        fields = ("name", "description", "algorithm", "tier", "owner", "tags", "parameters")
        widgets = {"tags": UnfoldAdminTextInputWidget}
        help_texts = {"tags": "separated by commas"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "parameters" not in self.fields:  # a page that only shows
            return
        parameters = self.fields["parameters"]
        parameters.encoder = IndentedEncoder  # type: ignore[attr-defined]
        parameters.help_text = parameters_help()
        parameters.widget.attrs |= {"rows": 8}
        parameters.widget.attrs["class"] += " ag-mono"
        self.fields["description"].widget.attrs["rows"] = 3

    def clean_parameters(self) -> dict[str, Any]:
        return json_object(self.cleaned_data["parameters"])


def parameters_help() -> SafeString:
    """What each algorithm takes, from where to where."""
    return format_html_join("", "{}", ((_table(*entry),) for entry in PARAMETERS.items()))


def _table(algorithm: str, parameters: tuple[Parameter, ...]) -> SafeString:
    rows = format_html_join(
        "",
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
        ((p.name, p.help, p.allowed, p.default) for p in parameters),
    )
    return format_html(
        '<details class="ag-details"><summary>Parameters of {}</summary><table class="ag-table">'
        "<thead><tr><th>Name</th><th>Meaning</th><th>Range</th><th>Default</th></tr></thead>"
        "<tbody>{}</tbody></table></details>",
        algorithm,
        rows,
    )
