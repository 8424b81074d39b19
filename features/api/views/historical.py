"""Features of past moments over REST."""

from typing import Any

import django_filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import Invalid, NotFound
from features.api.serializers import historical as shapes
from features.choices import RunStatus
from features.models import FeatureSet, HistoricalJob
from features.services import historical
from features.services.historical import MAX_SHOWN, Asked

SHOWN = 100


class HistoricalFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=RunStatus.choices)

    class Meta:
        model = HistoricalJob
        fields = ("status",)


class HistoricalView(generics.ListAPIView):
    """Requests for historical features, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_FEATURES}
    serializer_class = shapes.HistoricalJobSerializer
    filterset_class = HistoricalFilter
    queryset = HistoricalJob.objects.shown()

    @extend_schema(
        operation_id="features_historical_request",
        request=shapes.HistoricalRequestSerializer,
        responses={202: shapes.HistoricalJobSerializer},
    )
    def post(self, request: Request) -> Response:
        """Ask for the features of all events of a stretch of time, or of up to 10,000 moments,
        each as it was known then.

        Answers at once with the job, whose address is in `Location`; its file is a data set that
        can be trained on.
        """
        form = shapes.HistoricalRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        asked = Asked(**{**data, "feature_set": _set(data["feature_set"])})
        made = historical.request(actor=caller(request), asked=asked)
        job = HistoricalJob.objects.shown().get(pk=made.pk)
        location = request.build_absolute_uri(f"/api/v1/features/historical/{job.pk}")
        body = shapes.HistoricalJobSerializer(job).data
        return Response(body, status=202, headers={"Location": location})


class HistoricalJobView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(
        operation_id="features_historical_retrieve", responses=shapes.HistoricalJobSerializer
    )
    def get(self, request: Request, job_id: str) -> Response:
        """A request: status, progress in percent, and where its file is."""
        return Response(shapes.HistoricalJobSerializer(HistoricalJob.objects.lookup(job_id)).data)


class HistoricalRowsView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(
        operation_id="features_historical_rows",
        parameters=[
            OpenApiParameter("limit", int, description=f"1 to {MAX_SHOWN}; default {SHOWN}")
        ],
        responses=shapes.FirstRowsSerializer,
    )
    def get(self, request: Request, job_id: str) -> Response:
        """The first rows of what was computed; 409 until the job has succeeded."""
        job = HistoricalJob.objects.lookup(job_id)
        found = historical.first_rows(job=job, limit=_limit(request))
        return Response({"columns": found.columns, "rows": found.rows})


def _set(text: str) -> FeatureSet:
    try:
        return FeatureSet.objects.pinned(text)
    except NotFound as error:  # the address was right
        raise Invalid.field("feature_set", error.detail) from None


def _limit(request: Request) -> Any:
    text = request.query_params.get("limit", str(SHOWN))
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_SHOWN))
    return int(text) if is_number else 0
