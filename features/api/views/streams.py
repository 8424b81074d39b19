"""Streams and their events over REST."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import FieldError, Invalid
from features.api.serializers import streams as shapes
from features.models import QuarantinedRow, Stream
from features.services import events, quality, streams
from features.services.events import Ingested

DAYS = 30
MAX_DAYS = 366


class StreamsView(generics.ListAPIView):
    """All streams, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_FEATURES}
    serializer_class = shapes.StreamSerializer
    queryset = Stream.objects.select_related("created_by")

    @extend_schema(
        operation_id="streams_create",
        request=shapes.StreamWriteSerializer,
        responses={201: shapes.StreamSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a stream, which takes events from now on."""
        form = shapes.StreamWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        stream = streams.create_stream(actor=caller(request), **form.validated_data)
        location = request.build_absolute_uri(f"/api/v1/streams/{stream.name}")
        body = shapes.StreamSerializer(stream).data
        return Response(body, status=201, headers={"Location": location})


class StreamView(APIView):
    roles = {"GET": roles.READ, "PATCH": roles.EDIT_FEATURES}

    @extend_schema(operation_id="streams_retrieve", responses=shapes.StreamSerializer)
    def get(self, request: Request, name: str) -> Response:
        """A stream with its schema."""
        return Response(shapes.StreamSerializer(Stream.objects.named(name)).data)

    @extend_schema(
        operation_id="streams_change",
        request=shapes.StreamChangeSerializer,
        responses=shapes.StreamSerializer,
    )
    def patch(self, request: Request, name: str) -> Response:
        """Change a stream; its schema may only grow: new fields, wider bounds (else 409)."""
        form = shapes.StreamChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        stream = streams.change_stream(
            stream=Stream.objects.named(name), actor=caller(request), **form.validated_data
        )
        return Response(shapes.StreamSerializer(stream).data)


class EventsView(APIView):
    roles = {"POST": roles.SEND_EVENTS}

    @extend_schema(
        operation_id="events_send",
        request=shapes.EventsSerializer,
        responses=shapes.IngestedSerializer,
    )
    def post(self, request: Request, stream: str) -> Response:
        """Log one event, or up to 10,000. An event that was sent before counts once.

        Rows that break the stream's rules are put into quarantine; 400 only when all are.
        """
        target = Stream.objects.named(stream)
        rows, place = _rows(request.data)
        result = events.ingest(stream=target, rows=rows, actor=caller(request), source="api")
        if result.rejected == len(rows):
            raise _refusal(result, place)
        return Response(shapes.IngestedSerializer(result).data)


class QualityView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(
        operation_id="streams_quality",
        parameters=[OpenApiParameter("days", int, description=f"1 to {MAX_DAYS}; default {DAYS}")],
        responses=shapes.QualitySerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """How often each rule was broken, per day of arrival."""
        stream = Stream.objects.named(name)
        rates = quality.rates(stream=stream, days=_days(request))
        return Response(shapes.QualitySerializer({"results": rates}).data)


class QuarantineView(generics.ListAPIView):
    """Rows that were refused, as they came, with the reasons; newest first."""

    roles = {"GET": roles.READ}
    serializer_class = shapes.QuarantinedRowSerializer
    queryset = QuarantinedRow.objects.none()

    def get_queryset(self) -> Any:
        return Stream.objects.named(self.kwargs["name"]).quarantine.all()


def _rows(body: Any) -> tuple[list[Any], str]:
    """The events of a request, and how its errors call them."""
    if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"event", "events"}:
        raise Invalid.field("body", 'must be {"event": {...}} or {"events": [...]}')
    if "event" in body:
        return [body["event"]], "event"
    rows, most = body["events"], settings.FEATURES.max_events_per_request
    if not isinstance(rows, list) or not 1 <= len(rows) <= most:
        raise Invalid.field("events", f"must be a list of 1 to {most:,} events")
    return rows, "events"


def _refusal(result: Ingested, place: str) -> Invalid:
    found = [
        FieldError(_placed(place, error.index, error.field), error.message)
        for error in result.errors
    ]
    count = "The event was" if place == "event" else f"All {result.rejected:,} events were"
    first = found[0]
    return Invalid(
        f"{count} refused and put into quarantine. {first.field}: {first.message}", errors=found
    )


def _placed(place: str, index: int, field: str) -> str:
    row = place if place == "event" else f"{place}.{index}"
    return f"{row}.{field}" if field else row


def _days(request: Request) -> int:
    text = request.query_params.get("days", str(DAYS))
    days = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0  # noqa: PLR2004
    if not 1 <= days <= MAX_DAYS:
        raise Invalid.field("days", f"must be a whole number from 1 to {MAX_DAYS}")
    return days
