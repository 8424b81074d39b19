"""The admin of studies: ask for one, watch its search, stop it, train what it found."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from aegisml.base.admin.common import (
    ReasonForm,
    ServiceAdmin,
    address,
    after_dialog,
    duration,
    link,
    told,
)
from aegisml.base.auth.rest import caller
from models_app.choices import Algorithm
from training.admin import study_plots
from training.admin.study_forms import TuneForm
from training.choices import Phase, StudyStatus, TrialStatus
from training.models import Study, Trial
from training.services import studies as services
from training.standing import Standing

STATUS_COLORS = {
    StudyStatus.QUEUED: "default", StudyStatus.RUNNING: "info", StudyStatus.CANCELLING: "warning",
    StudyStatus.CANCELLED: "warning", StudyStatus.SUCCEEDED: "success",
    StudyStatus.FAILED: "danger", StudyStatus.ERRORED: "danger",
}  # fmt: skip
TRIAL_COLORS = {
    TrialStatus.QUEUED: "default", TrialStatus.RUNNING: "info", TrialStatus.SUCCEEDED: "success",
    TrialStatus.PRUNED: "default", TrialStatus.CANCELLED: "warning", TrialStatus.FAILED: "danger",
}  # fmt: skip
RELATED = (
    "model", "version__model", "requested_by", "feature_set__stream", "ensemble_job",
    "best_trial__job__version",
)  # fmt: skip
SHOWN = 200  # trials in the table
# how the table may be sorted: by its key, and whether highest come first
SORTS = {
    "value": (lambda t: (t.shown_value is not None, t.shown_value or 0.0), True),
    "number": (lambda t: (t.number,), False),
    "seconds": (lambda t: (t.seconds or 0.0,), True),
}


@admin.register(Study)
class StudyAdmin(ServiceAdmin):
    form = TuneForm
    list_display = (
        "created_at", "model_link", "status_label", "kind", "best", "trial_count", "version_link",
        "took", "requested_by",
    )  # fmt: skip
    list_filter = ("status", "is_automl", "model")
    list_select_related = RELATED
    search_fields = ("model__name", "dataset_path", "feature_set__name")
    search_help_text = "model, dataset or feature set"
    fields = ("model",)
    add_fieldsets = (
        (None, {"fields": (("model", "is_automl"), "reason")}),
        (
            "A file",
            {
                "fields": ("dataset_path",),
                "description": "Rows of a file below the data root, features and all.",
            },
        ),
        (
            "Or a feature set",
            {
                "fields": ("feature_set", "since", "until"),
                "description": "The events of its stream, with the features as they were known"
                " when each event came.",
            },
        ),
        ("How long", {"fields": (("trials_wanted", "time_budget_seconds"), "workers")}),
        (
            "How",
            {
                "fields": (("metric", "sampler"), ("pruner", "algorithms"), "space", "parameters"),
                "classes": ["collapse"],
            },
        ),
    )  # fmt: skip
    actions_detail = ("cancel", "train_best")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Study]:
        found: QuerySet[Study] = super().get_queryset(request).select_related(*RELATED)
        return found.with_best_value()  # type: ignore[attr-defined]

    # --- who may what ---

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a study is steered by its buttons

    def has_steer_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("training.change_study")

    def has_request_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("training.add_trainingjob")

    # --- list ---

    @display(description="Model", ordering="model__name")
    def model_link(self, study: Study) -> str:
        return link("models_app_registeredmodel_change", study.model, study.model_id)

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def status_label(self, study: Study) -> tuple[str, str]:
        return study.status, study.get_status_display()

    @display(description="Searches", ordering="is_automl")
    def kind(self, study: Study) -> str:
        return "AutoML" if study.is_automl else Algorithm(study.algorithms[0]).label

    @display(description="Best", ordering="best_value")
    def best(self, study: Any) -> str:
        return "-" if study.best_value is None else f"{study.best_value:.4f}"

    @display(description="Trials", ordering="ended_count")
    def trial_count(self, study: Any) -> str:
        wanted = f" of {study.trials_wanted:,}" if study.trials_wanted else ""
        return f"{study.ended_count:,}{wanted}"

    @display(description="Version", ordering="version__number")
    def version_link(self, study: Study) -> str:
        if study.version is None:
            return "-"
        return link("models_app_modelversion_change", f"v{study.version.number}", study.version_id)

    @display(description="Took")
    def took(self, study: Study) -> str:
        return duration(study.seconds)

    # --- pages ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        study = services.request_study(
            model=form.cleaned_data["model"],
            actor=caller(request),
            source=form.source(),
            plan=form.plan(),
            parameters=form.cleaned_data["parameters"],
            reason=form.cleaned_data["reason"],
        )
        obj.pk, obj.created_at = study.pk, study.created_at

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """Show the study at work, not the list."""
        self.message_user(request, f"The study of {obj.model} is queued.")
        return after_dialog(request, address("training_study_change", obj.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        study = context.get("original")
        if study is not None:
            context |= _live(study, request.GET.get("sort", ""))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        live = path(
            "<uuid:study_id>/live/",
            self.admin_site.admin_view(self.live),
            name="training_study_live",
        )
        return [live, *super().get_urls()]

    def live(self, request: HttpRequest, study_id: UUID) -> HttpResponse:
        """The part of the study's page that moves; it asks for itself until the study is over."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        study = self.get_queryset(request).filter(pk=study_id).first()
        if study is None:
            raise Http404
        context = _live(study, request.GET.get("sort", ""))
        response = render(request, "aegisml/study_live.html", context)
        if study.is_finished:
            response["HX-Refresh"] = "true"  # the buttons and the version are others now
        return response

    # --- actions ---

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        study = self.get_object(request, str(object_id))
        if study is None:
            return []
        wanted = [] if study.is_finished else ["cancel"]
        if study.is_finished and study.version_id is None and study.best_trial_id is not None:
            wanted = ["train-best"]
        actions = super().get_actions_detail(request, object_id)
        return [found for found in actions if found.path in wanted]

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        variant=ActionVariant.DANGER,
        permissions=["steer"],
        dialog={
            "title": "Cancel this study",
            "description": "A queued study stops at once, the trials of a running one within two"
            " seconds. What they found is kept.",
            "form_class": ReasonForm,
            "form_submit_text": "Cancel the study",
        },
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        study = self.row(request, object_id)
        with told(request, "The study is told to stop."):
            reason = form.cleaned_data["reason"]
            services.cancel(study=study, actor=caller(request), reason=reason)
        return after_dialog(request, address("training_study_change", object_id))

    @action(
        description="Train the best now",
        url_path="train-best",
        icon="exercise",
        permissions=["steer", "request"],
        dialog={
            "title": "Train a version with the best parameters",
            "description": "A training takes the parameters of the best trial so far, and the"
            " study's very rows.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Train it",
        },
    )
    def train_best(
        self, request: HttpRequest, form: BaseDialogForm, object_id: str
    ) -> HttpResponse:
        study = self.row(request, object_id)
        shown = address("training_study_change", object_id)
        with told(request, "The training is queued."):
            job = services.train_best(study=study, actor=caller(request))
            shown = address("training_trainingjob_change", job.pk)
        return after_dialog(request, shown)


def _live(study: Study, sort: str) -> dict[str, Any]:
    standing = Standing.of(study)
    eta = standing.eta_seconds
    return {
        "study": study,
        "standing": standing,
        "status_color": STATUS_COLORS[StudyStatus(study.status)],
        "doing": _doing(standing),
        "took": duration(study.seconds),
        "left": None if eta is None else duration(eta),
        "history": study_plots.history(standing),
        "parallels": study_plots.parallels(standing),
        "importance": _importance(study),
        "rows": _rows(standing, sort),
        "sort": sort if sort in SORTS else "value",
        "hidden": max(0, len(standing.trials) - SHOWN),
        "has_many": len(study.algorithms) > 1,
    }


def _doing(standing: Standing) -> str:
    study = standing.study
    if study.status == StudyStatus.QUEUED:
        return "waiting for a worker"
    if study.status == StudyStatus.RUNNING and study.phase != Phase.SEARCH:
        return Phase(study.phase).label
    wanted = f" of {study.trials_wanted:,}" if study.trials_wanted else ""
    counts = [
        f"{standing.count(status):,} {status.label.lower()}"
        for status in (TrialStatus.RUNNING, TrialStatus.PRUNED, TrialStatus.FAILED)
        if standing.count(status)
    ]
    return ", ".join([f"{standing.ended:,}{wanted} trials done", *counts])


def _importance(study: Study) -> list[tuple[str, int, list[tuple[str, float, float]]]]:
    """Algorithm, number of trials, and (parameter, percent, width of its bar) each."""
    found = []
    for name, about in sorted(study.importance.items()):
        most = max((share for _, share in about["shares"]), default=0) or 1
        bars = [(n, 100 * share, 100 * share / most) for n, share in about["shares"]]
        if bars:
            found.append((Algorithm(name).label, about["trials"], bars))
    return found


def _rows(standing: Standing, sort: str) -> list[tuple[Trial, str, str, list[tuple[str, str]]]]:
    """The trials in their order: with color, time and parameters."""
    key, downwards = SORTS.get(sort, SORTS["value"])
    ordered = sorted(standing.trials, key=key, reverse=downwards)[:SHOWN]
    return [
        (
            trial,
            TRIAL_COLORS[TrialStatus(trial.status)],
            duration(trial.seconds),
            [(name, _short(value)) for name, value in sorted(trial.parameters.items())],
        )
        for trial in ordered
    ]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
