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
from aegisml.base.errors import Invalid, NotFound
from features.models import FeatureSet
from models_app.models import RegisteredModel
from training import services
from training.api.serializers import JobSerializer, TrainSerializer
from training.choices import JobStatus
from training.models import TrainingJob

RELATED = ("model", "version", "requested_by", "feature_set__stream")


class JobFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices)

    class Meta:
        model = TrainingJob
        fields = ("status",)


class TrainView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="models_train", request=TrainSerializer, responses={202: JobSerializer}
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Queue a training on a file, or on a feature set's stream from one time to another.

        Answers at once with the job, whose address is in `Location`.
        """
        model = RegisteredModel.objects.lookup(model_id)
        form = TrainSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        job = services.request_run(
            model=model,
            actor=caller(request),
            parameters=given.pop("parameters", None),
            source=_source(given),
        )
        return _accepted(request, job)


class JobsView(generics.ListAPIView):
    """A model's training jobs, newest first."""

    roles = {"GET": roles.READ}
    serializer_class = JobSerializer
    filterset_class = JobFilter
    queryset = TrainingJob.objects.none()

    def get_queryset(self) -> Any:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.training_jobs.select_related(*RELATED)


class JobView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="training_job_retrieve", responses=JobSerializer)
    def get(self, request: Request, model_id: str, job_id: str) -> Response:
        """A job: status, progress in percent, step, the tail of its log, metrics, error."""
        return Response(JobSerializer(_job(model_id, job_id)).data)


class CancelView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(operation_id="training_job_cancel", request=None, responses={202: JobSerializer})
    def post(self, request: Request, model_id: str, job_id: str) -> Response:
        """Stop a job: a queued one at once, a running one at its next step."""
        job = services.cancel(job=_job(model_id, job_id), actor=caller(request))
        return Response(JobSerializer(job).data, status=202)


class RetryView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(operation_id="training_job_retry", request=None, responses={202: JobSerializer})
    def post(self, request: Request, model_id: str, job_id: str) -> Response:
        """Queue a new job with the same source and parameters."""
        job = services.retry(job=_job(model_id, job_id), actor=caller(request))
        return _accepted(request, job)


def _source(given: dict[str, Any]) -> services.Source:
    """What a request names; raises `Invalid` for a set that isn't there."""
    text = given.pop("feature_set", None)
    try:
        feature_set = FeatureSet.objects.pinned(text) if text else None
    except NotFound as error:  # the address was right
        raise Invalid.field("feature_set", error.detail) from None
    return services.Source(feature_set=feature_set, **given)


def _job(model_id: str, job_id: str) -> TrainingJob:
    model = RegisteredModel.objects.lookup(model_id)
    return model.training_jobs.select_related(*RELATED).lookup(job_id)


def _accepted(request: Request, job: TrainingJob) -> Response:
    location = request.build_absolute_uri(f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}")
    return Response(JobSerializer(job).data, status=202, headers={"Location": location})
