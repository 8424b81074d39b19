"""A job's life as server-sent events.

A web process answers one request at a time, because scoring is computing: one stream that stays
open keeps all predictions out of it. So each answer holds what is new and ends, and `retry`
tells the client to come back in a second with `Last-Event-ID`, as every EventSource does by
itself; in more seconds when there are many (`pacing`). After the job's end it is answered 204,
upon which clients stay away.
"""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.api.problems import CONTENT_TYPE
from aegisml.base.api.renderers import OrjsonRenderer
from aegisml.base.api.schema import ProblemSerializer
from aegisml.base.auth import roles
from aegisml.base.errors import Throttled
from training import following
from training.api.pacing import Pace
from training.api.shared import job_of
from training.following import Seen

MEDIA_TYPE = "text/event-stream"
pace = Pace()


class EventStreamRenderer(BaseRenderer):
    """For `Accept: text/event-stream`; a refusal stays a problem in JSON."""

    media_type = MEDIA_TYPE
    format = "events"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return data if isinstance(data, bytes) else OrjsonRenderer().render(data)


class EventsView(APIView):
    roles = {"GET": roles.READ}
    renderer_classes = (EventStreamRenderer,)
    _told: float = 0  # seconds after which this reader comes again

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            pace.spent(time.perf_counter() - began, told=self._told)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        seconds = pace.flooded()
        if seconds is not None:
            raise Throttled("Too many ask for live events.", retry_after=seconds)
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="training_job_events",
        parameters=[
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="the id of the last event that arrived; without it, from the beginning",
            )
        ],
        responses={
            (200, MEDIA_TYPE): OpenApiResponse(OpenApiTypes.STR, description="the new events"),
            204: OpenApiResponse(description="the job is over and everything was sent"),
            (429, CONTENT_TYPE): ProblemSerializer,
        },
    )
    def get(self, request: Request, model_id: str, job_id: str) -> Response:
        """A job's events: status, progress, metrics (per round), log (a line each), and end.

        Each answer holds the events after `Last-Event-ID` and closes; an EventSource asks again
        by itself after the time that `retry` tells (a second, more with many readers), until the
        job is over. 429 turns away readers who come much more often.
        """
        job = job_of(model_id, job_id)
        seen = Seen.parse(request.headers.get("Last-Event-ID", ""))
        if job.is_finished and seen.is_end:
            return Response(status=204)
        self._told = pace.interval()
        body = [f"retry: {round(self._told * 1000)}\n\n".encode()]
        body += [_frame(event) for event in following.since(job, seen)]
        if len(body) == 1:
            body.append(f": {job.status}\n\n".encode())  # a comment: the server lives
        return Response(b"".join(body), content_type=MEDIA_TYPE)


def _frame(event: following.Event) -> bytes:
    data = orjson.dumps(event.data, default=str)
    return f"id: {event.seen}\nevent: {event.kind}\ndata: ".encode() + data + b"\n\n"
