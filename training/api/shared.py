"""What the views of training have in common."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from aegisml.base.errors import Invalid, NotFound
from features.models import FeatureSet
from models_app.models import RegisteredModel
from training.api.serializers import JobDetailSerializer
from training.models import TrainingJob
from training.services.asking import Source

RELATED = ("model", "version", "requested_by", "feature_set__stream")
KEY_HEADER = "Idempotency-Key"
IDEMPOTENCY = OpenApiParameter(
    KEY_HEADER,
    str,
    OpenApiParameter.HEADER,
    description="up to 200 printable ASCII characters; the same key and body by the same caller"
    " give the same job or study, the same key with another body is refused (409)",
)


def job_of(model_id: str, job_id: str) -> TrainingJob:
    """The job at this address; raises `NotFound`."""
    model = RegisteredModel.objects.lookup(model_id)
    return model.training_jobs.select_related(*RELATED).lookup(job_id)


def accepted(request: Request, job: TrainingJob) -> Response:
    """202 with the job and its address."""
    location = request.build_absolute_uri(f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}")
    return Response(JobDetailSerializer(job).data, status=202, headers={"Location": location})


def key_of(request: Request) -> str:
    """The caller's idempotency key: the header may be left out, but not be empty."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return ""
    if not key.strip():
        raise Invalid.field(KEY_HEADER, "must not be empty")
    return str(key)


def source_of(given: dict[str, Any]) -> Source:
    """What a request names, taken out of `given`; raises `Invalid` for a set that isn't there."""
    text = given.pop("feature_set", None)
    try:
        feature_set = FeatureSet.objects.pinned(text) if text else None
    except NotFound as error:  # the address was right
        raise Invalid.field("feature_set", error.detail) from None
    parts = ("dataset_path", "stream", "since", "until")
    return Source(feature_set=feature_set, **{p: given.pop(p) for p in parts if p in given})
