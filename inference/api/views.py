"""Serving over REST."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base import ids
from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import NotFound
from inference import edge, reading, services
from inference.api.serializers import (
    BATCH,
    PREDICT,
    BatchPredictedSerializer,
    DeploymentSerializer,
    DeploySerializer,
    PredictedSerializer,
    PredictionSerializer,
    UndeploySerializer,
)
from inference.models import Deployment
from models_app.models import RegisteredModel


class DeployView(APIView):
    roles = {"POST": roles.DEPLOY}

    @extend_schema(
        operation_id="models_deploy",
        request=DeploySerializer,
        responses={201: DeploymentSerializer},
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Let a version answer for the model; the one before is superseded."""
        model = RegisteredModel.objects.lookup(model_id)
        form = DeploySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        deployment = services.deploy(
            model=model,
            actor=caller(request),
            number=form.validated_data.get("version"),
            reason=form.validated_data.get("reason", ""),
        )
        return Response(DeploymentSerializer(deployment).data, status=201)


class UndeployView(APIView):
    roles = {"POST": roles.DEPLOY}

    @extend_schema(
        operation_id="models_undeploy", request=UndeploySerializer, responses=DeploymentSerializer
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Stop serving the model."""
        model = RegisteredModel.objects.lookup(model_id)
        form = UndeploySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        ended = services.undeploy(model=model, actor=caller(request), **form.validated_data)
        return Response(DeploymentSerializer(ended).data)


class DeploymentsView(generics.ListAPIView):
    """A model's deployments, newest first: what served when, and who put it there."""

    roles = {"GET": roles.READ}
    serializer_class = DeploymentSerializer
    queryset = Deployment.objects.none()

    def get_queryset(self) -> Any:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.deployments.select_related("model", "version", "created_by")


class RawParser(BaseParser):
    """Leaves the body to the edge."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return stream.read()


class HotView(APIView):
    """A route that `edge.respond` answers, guards and all; this is its Django shell.

    The edge authenticates and authorizes, exactly as in front of Django; the
    roles here are for the API's description.
    """

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (RawParser,)
    http_method_names = ("post",)  # OPTIONS too would pass no guard
    roles = {"POST": roles.PREDICT}

    def _respond(self, request: Request) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = edge.respond(request.path, headers, lambda: request.body)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


class PredictView(HotView):
    @extend_schema(
        operation_id="models_predict",
        request={"application/json": PREDICT},
        responses=PredictedSerializer,
        auth=[{"bearer": []}],  # type: ignore[list-item]  # the stubs know names only
    )
    def post(self, request: Request, model_id: str) -> HttpResponse:
        """Score one transaction: from the values of all features, or, when the deployed version
        pins a feature set, from the raw event. The answer is recorded before it leaves; the event
        is not.

        503 while the online store can't answer: a score never stands on features that are
        silently empty.
        """
        return self._respond(request)


class BatchPredictView(HotView):
    @extend_schema(
        operation_id="models_batch_predict",
        request={"application/json": BATCH},
        responses=BatchPredictedSerializer,
        auth=[{"bearer": []}],  # type: ignore[list-item]  # the stubs know names only
    )
    def post(self, request: Request, model_id: str) -> HttpResponse:
        """Score many transactions by one version: all are answered and recorded, or none.

        As with a single one, they are given by their features or as raw events.
        """
        return self._respond(request)


class PredictionView(APIView):
    roles = {"GET": roles.READ_PREDICTIONS}

    @extend_schema(operation_id="predictions_retrieve", responses=PredictionSerializer)
    def get(self, request: Request, prediction_id: str) -> Response:
        """One prediction as it was answered, also in the moments before it is in the table.

        For a raw event, `context` tells the version, status and age of what each feature stood on.
        """
        identifier = ids.parse_uuid(prediction_id)
        found = reading.find(identifier, journal_root=settings.JOURNAL_ROOT) if identifier else None
        if found is None:
            raise NotFound(f"There is no prediction {prediction_id[:100]!r}.")
        return Response(PredictionSerializer(found).data)
