"""The admin of training jobs: ask for one, watch it, stop it, run it again."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
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
from training import steps
from training.admin.curve import drawn
from training.admin.forms import TrainForm
from training.choices import JobStatus, Priority
from training.models import TrainingJob
from training.queue import why_waiting
from training.services import jobs as services

STATUS_COLORS = {
    JobStatus.QUEUED: "default", JobStatus.RUNNING: "info", JobStatus.CANCELLING: "warning",
    JobStatus.CANCELLED: "warning", JobStatus.SUCCEEDED: "success", JobStatus.FAILED: "danger",
    JobStatus.ERRORED: "danger", JobStatus.LEAK_SUSPECTED: "warning",
}  # fmt: skip
PRIORITY_COLORS = {Priority.LOW: "default", Priority.NORMAL: "info", Priority.HIGH: "warning"}
RELATED = ("model", "version__model", "requested_by", "feature_set__stream")


@admin.register(TrainingJob)
class TrainingJobAdmin(ServiceAdmin):
    form = TrainForm
    list_display = (
        "created_at", "model_link", "status_label", "priority_label", "progress_bar",
        "source_link", "version_link", "took", "requested_by",
    )  # fmt: skip
    list_filter = ("status", "priority", "is_quarantined", "model")
    list_select_related = RELATED
    search_fields = ("model__name", "dataset_path", "feature_set__name")
    search_help_text = "model, dataset or feature set"
    fields = ("model",)
    add_fieldsets = (
        (None, {"fields": (("model", "priority"), "reason")}),
        (
            "A file",
            {
                "fields": ("dataset_path", ("label_column", "time_column")),
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
        (
            "Split",
            {
                "fields": (
                    ("validation_split", "test_split"), ("test_from", "split"),
                    ("label_delay_days", "seed"),
                )
            },
        ),
        (
            "From scores to decisions",
            {
                "fields": (
                    ("policy", "calibration"), ("review_cost", "missed_share"),
                    ("alerts", "precision"), "refit",
                )
            },
        ),
        (
            "Evaluation",
            {
                "fields": (
                    ("amount_column", "entity_column"), ("segment_columns", "typology_column"),
                    "known_entities",
                ),
                "classes": ["collapse"],
            },
        ),
        (
            "More",
            {
                "fields": (
                    "exclude_columns", "members", "parameters", ("overrides", "override_reason"),
                    "allow_duplicate",
                ),
                "classes": ["collapse"],
            },
        ),
    )  # fmt: skip
    actions_detail = ("cancel", "override", "retry")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingJob]:
        return super().get_queryset(request).select_related(*RELATED)

    # --- who may what ---

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a job is steered by its buttons

    def has_steer_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("training.change_trainingjob")

    def has_request_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.has_add_permission(request)

    # --- list ---

    @display(description="Model", ordering="model__name")
    def model_link(self, job: TrainingJob) -> str:
        return link("models_app_registeredmodel_change", job.model, job.model_id)

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def status_label(self, job: TrainingJob) -> tuple[str, str]:
        return job.status, job.get_status_display()

    @display(description="Priority", ordering="priority", label=PRIORITY_COLORS)
    def priority_label(self, job: TrainingJob) -> tuple[int, str]:
        return job.priority, job.get_priority_display()

    @display(description="Trains on", ordering="dataset_path")
    def source_link(self, job: TrainingJob) -> str:
        if job.feature_set is None:
            return job.dataset_path
        return link("features_featureset_change", job.source, job.feature_set_id)

    @display(description="Progress", ordering="progress")
    def progress_bar(self, job: TrainingJob) -> str:
        return render_to_string("aegisml/progress.html", {"percent": job.progress})

    @display(description="Version", ordering="version__number")
    def version_link(self, job: TrainingJob) -> str:
        if job.version is None:
            return "-"
        return link("models_app_modelversion_change", f"v{job.version.number}", job.version_id)

    @display(description="Took")
    def took(self, job: TrainingJob) -> str:
        return duration(job.seconds)

    # --- pages ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        job = services.request_run(
            model=form.cleaned_data["model"],
            actor=caller(request),
            source=form.source(),
            parameters=form.run_parameters(),
            reason=form.cleaned_data["reason"],
            terms=form.terms(),
        )
        obj.pk, obj.created_at = job.pk, job.created_at

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """Show the job at work, not the list."""
        self.message_user(request, f"The training of {obj.model} is queued.")
        return after_dialog(request, address("training_trainingjob_change", obj.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        job = context.get("original")
        if job is not None:
            context |= _live(job)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        live = path(
            "<uuid:job_id>/live/",
            self.admin_site.admin_view(self.live),
            name="training_trainingjob_live",
        )
        return [live, *super().get_urls()]

    def live(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The part of the job's page that moves; it asks for itself until the job is over."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.get_queryset(request).filter(pk=job_id).first()
        if job is None:
            raise Http404
        response = render(request, "aegisml/job_live.html", _live(job))
        if job.is_finished:
            response["HX-Refresh"] = "true"  # the buttons and the version are others now
        return response

    # --- actions ---

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        job = self.get_object(request, str(object_id))
        if job is None:
            return []
        wanted = ["retry"] if job.is_finished else ["cancel"]
        if job.status == JobStatus.LEAK_SUSPECTED:
            wanted.append("override")
        actions = super().get_actions_detail(request, object_id)
        return [found for found in actions if found.path in wanted]

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        variant=ActionVariant.DANGER,
        permissions=["steer"],
        dialog={
            "title": "Cancel this training",
            "description": "A queued job stops at once, a running one within two seconds.",
            "form_class": ReasonForm,
            "form_submit_text": "Cancel the training",
        },
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        job = self.row(request, object_id)
        with told(request, "The job is told to stop."):
            services.cancel(
                job=job,
                actor=caller(request),
                reason=form.cleaned_data["reason"],
            )
        return after_dialog(request, address("training_trainingjob_change", object_id))

    @action(
        description="Run again",
        url_path="retry",
        icon="replay",
        permissions=["steer", "request"],
        dialog={
            "title": "Run this training again",
            "description": "A new job takes the same file or feature set, and the same parameters.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Run again",
        },
    )
    def retry(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        job = self.row(request, object_id)
        shown = object_id
        with told(request, "A new job is queued."):
            shown = str(services.retry(job=job, actor=caller(request)).pk)
        return after_dialog(request, address("training_trainingjob_change", shown))

    @action(
        description="Override",
        url_path="override",
        icon="gavel",
        permissions=["steer", "request"],
        dialog={
            "title": "Run this training in spite of the evidence",
            "description": "A new job lets pass what this one stopped for. The reason is kept"
            " in its history, and with the version.",
            "form_class": ReasonForm,
            "form_submit_text": "Override and run",
        },
    )
    def override(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        job = self.row(request, object_id)
        shown = object_id
        with told(request, "A new job is queued, with the override on record."):
            reason = form.cleaned_data["reason"]
            shown = str(services.override(job=job, actor=caller(request), reason=reason).pk)
        return after_dialog(request, address("training_trainingjob_change", shown))


def _live(job: TrainingJob) -> dict[str, Any]:
    eta = job.eta_seconds
    return {
        "job": job,
        "status_color": STATUS_COLORS[JobStatus(job.status)],
        "took": duration(job.seconds),
        "left": None if eta is None else duration(eta),
        "waits": why_waiting(job),
        "steps": [(step, duration(step.seconds)) for step in steps.of(job)],
        "charts": drawn(job.points),
        "test": job.metrics.get("test"),
    }
