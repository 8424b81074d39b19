"""Labels over REST: what events turned out to be."""

from typing import Any
from uuid import UUID

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.api.pagination import NewestFirst
from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import FieldError, Invalid, NotFound
from features.api.serializers import labels as shapes
from features.models import Label
from features.services import labels
from features.services.labels import NewLabel, Recorded


class NewestStatementFirst(NewestFirst):
    ordering = ("-known_time", "-pk")


class LabelFilter(django_filters.FilterSet):
    stream = django_filters.CharFilter(field_name="stream__name")
    event_id = django_filters.CharFilter()
    prediction_id = django_filters.UUIDFilter()

    class Meta:
        model = Label
        fields = ("stream", "event_id", "prediction_id", "source", "disposition")


class LabelsView(generics.ListAPIView):
    """Statements and reversals, newest first."""

    roles = {"GET": roles.READ, "POST": roles.SEND_LABELS}
    serializer_class = shapes.LabelSerializer
    filterset_class = LabelFilter
    pagination_class = NewestStatementFirst
    queryset = Label.objects.select_related("stream", "recorded_by", "reversal")

    @extend_schema(
        operation_id="labels_send",
        request=shapes.LabelsRequestSerializer,
        responses=shapes.RecordedSerializer,
    )
    def post(self, request: Request) -> Response:
        """Record one statement, or up to 10,000. One that was sent before counts once.

        A statement about an event that isn't logged is refused; 400 only when all are.
        """
        form = shapes.LabelsRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        given = data["labels"] if "labels" in data else [data["label"]]
        statements = [NewLabel(**one) for one in given]
        result = labels.record(actor=caller(request), statements=statements)
        if result.rejected == len(statements):
            raise _refusal(result, "labels" if "labels" in data else "label")
        return Response(shapes.RecordedSerializer(result).data)


class ReverseView(APIView):
    roles = {"POST": roles.SEND_LABELS}

    @extend_schema(
        operation_id="labels_reverse",
        request=shapes.ReverseSerializer,
        responses={201: shapes.LabelSerializer},
    )
    def post(self, request: Request, label_id: str) -> Response:
        """Take a statement back, from now on; both stay on record."""
        form = shapes.ReverseSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        made = labels.reverse(label=_label(label_id), actor=caller(request), **form.validated_data)
        return Response(shapes.LabelSerializer(made).data, status=201)


def _label(label_id: str) -> Label:
    try:
        return Label.objects.select_related("stream").get(pk=UUID(label_id))
    except (ValueError, Label.DoesNotExist):
        raise NotFound(f"No label {label_id[:60]}.") from None


def _refusal(result: Recorded, place: str) -> Invalid:
    found: list[Any] = [
        FieldError(
            f"{place}.{error.field}"
            if place == "label"
            else f"{place}.{error.index}.{error.field}",
            error.message,
        )
        for error in result.errors
    ]
    return Invalid.fields(found)
