"""Training over REST."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from models_app.models import RegisteredModel
from training.api.serializers import (
    JobDetailSerializer,
    JobSerializer,
    OverrideSerializer,
    TrainSerializer,
)
from training.api.shared import IDEMPOTENCY, RELATED, accepted, job_of, key_of, source_of
from training.choices import PRIORITIES, JobStatus, Priority
from training.models import TrainingJob
from training.queue import Queue
from training.services import jobs as services


class JobFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices)

    class Meta:
        model = TrainingJob
        fields = ("status",)


class TrainView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="models_train",
        parameters=[IDEMPOTENCY],
        request=TrainSerializer,
        responses={202: JobDetailSerializer},
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Queue a training on a file, or on a feature set's stream from one time to another.

        Answers at once with the job, whose address is in `Location`. 409 names the job that
        trains the same already, unless `allow_duplicate` is set.
        """
        model = RegisteredModel.objects.lookup(model_id)
        form = TrainSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        terms = services.Terms(
            priority=PRIORITIES[given.pop("priority")],
            allow_duplicate=given.pop("allow_duplicate"),
            idempotency_key=key_of(request),
        )
        job = services.request_run(
            model=model,
            actor=caller(request),
            parameters=given.pop("parameters", None),
            source=source_of(given),
            terms=terms,
        )
        return accepted(request, job)


class JobsView(generics.ListAPIView):
    """A model's training jobs, newest first."""

    roles = {"GET": roles.READ}
    serializer_class = JobSerializer
    filterset_class = JobFilter
    queryset = TrainingJob.objects.none()

    def get_queryset(self) -> Any:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.training_jobs.select_related(*RELATED)

    def get_serializer_context(self) -> dict[str, Any]:
        # the queue is asked once for the page, not once for each job
        return {**super().get_serializer_context(), "queue": Queue.now()}


class JobView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="training_job_retrieve", responses=JobDetailSerializer)
    def get(self, request: Request, model_id: str, job_id: str) -> Response:
        """A job: status, why it waits, progress in percent, step, time left, the curve of its
        fit, the tail of its log, metrics, evidence of leaks, error."""
        return Response(JobDetailSerializer(job_of(model_id, job_id)).data)


class CancelView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="training_job_cancel", request=None, responses={202: JobDetailSerializer}
    )
    def post(self, request: Request, model_id: str, job_id: str) -> Response:
        """Stop a job: a queued one at once, a running one within two seconds."""
        job = services.cancel(job=job_of(model_id, job_id), actor=caller(request))
        return Response(JobDetailSerializer(job).data, status=202)


class RetryView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="training_job_retry",
        parameters=[IDEMPOTENCY],
        request=None,
        responses={202: JobDetailSerializer},
    )
    def post(self, request: Request, model_id: str, job_id: str) -> Response:
        """Queue a new job with the same source and parameters."""
        job = job_of(model_id, job_id)
        again = services.retry(job=job, actor=caller(request), terms=_terms(request, job))
        return accepted(request, again)


class OverrideView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="training_job_override",
        parameters=[IDEMPOTENCY],
        request=OverrideSerializer,
        responses={202: JobDetailSerializer},
    )
    def post(self, request: Request, model_id: str, job_id: str) -> Response:
        """Queue a new job that lets pass what this one stopped for (a suspected leak, a random
        split of rows that have times, ...), with the reason on record."""
        form = OverrideSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        job = job_of(model_id, job_id)
        again = services.override(
            job=job, actor=caller(request), terms=_terms(request, job), **form.validated_data
        )
        return accepted(request, again)


def _terms(request: Request, job: TrainingJob) -> services.Terms:
    return services.Terms(priority=Priority(job.priority), idempotency_key=key_of(request))
