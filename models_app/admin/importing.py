"""The page that brings a file into a model as its next version."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from aegisml.base.admin.common import address, place_errors
from aegisml.base.auth.rest import caller
from aegisml.base.errors import AegisError
from models_app.ml.exchange import documents
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import importing


class ImportForm(forms.Form):
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="A zip of a version from here, an ONNX model, XGBoost's UBJSON or JSON, or an"
        " MLflow model folder as a zip (flavors onnx and xgboost).",
    )
    signature = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text='Features as JSON, where the file doesn\'t name them: ["amount", {"name":'
        ' "channel", "kind": "category", "levels": ["web", "shop"]}]',
    )
    threshold = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Scores from it up go to an analyst. Default: 0.5, which no data chose.",
    )
    fill = forms.FloatField(
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Stands for a missing number, where an ONNX model can't take one.",
    )
    output = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Name of the ONNX output that holds the probability, where there are several.",
    )
    feature_set = forms.CharField(
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="What it is to be served from, as name@v1. Default: callers bring the features.",
    )

    def clean_signature(self) -> Any:
        text = self.cleaned_data["signature"]
        if not text:
            return None
        try:
            return documents.read(text, name="it", field="signature")
        except Refused as error:
            raise forms.ValidationError(error.text) from None


def show(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    """The form; a file that is taken leads to its version's page."""
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        version = _import(request, model, form)
        if version is not None:
            messages.success(request, f"{version} was imported.")
            return HttpResponseRedirect(address("models_app_modelversion_change", version.pk))
    context = {
        **admin.site.each_context(request),
        "title": f"Import a version of {model.name}",
        "limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        "model": model,
        "form": form,
    }
    return render(request, "aegisml/import.html", context)


def _import(request: HttpRequest, model: RegisteredModel, form: ImportForm) -> ModelVersion | None:
    said = form.cleaned_data
    incoming = importing.Incoming(
        name=said["file"].name,
        file=said["file"],
        wishes=Wishes(said["signature"], said["threshold"], said["fill"], said["output"] or None),
        feature_set=said["feature_set"] or None,
    )
    try:
        return importing.import_version(model=model, actor=caller(request), incoming=incoming)
    except AegisError as error:
        place_errors(form, error)
        return None
