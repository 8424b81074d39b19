"""Monitoring over REST."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from models_app.models import RegisteredModel
from monitoring import components, services
from monitoring.api.serializers import (
    AlertsSerializer,
    DriftReportSerializer,
    HoursSerializer,
    MetricsSerializer,
    ModelHealthSerializer,
    SystemHealthSerializer,
)


class MetricsView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(
        operation_id="models_metrics", parameters=[HoursSerializer], responses=MetricsSerializer
    )
    def get(self, request: Request, model_id: str) -> Response:
        """The champion's held-out metrics, and counts and latency from the prediction log."""
        model = RegisteredModel.objects.lookup(model_id)
        form = HoursSerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        found = services.model_metrics(model=model, hours=form.validated_data["hours"])
        return Response(MetricsSerializer(found).data)


class ModelHealthView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="models_health", responses=ModelHealthSerializer)
    def get(self, request: Request, model_id: str) -> Response:
        """A state with its reasons; `not_evaluable` says what is missing."""
        model = RegisteredModel.objects.lookup(model_id)
        return Response(ModelHealthSerializer(services.model_health(model=model)).data)


class DriftView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="models_drift", responses=DriftReportSerializer)
    def get(self, request: Request, model_id: str) -> Response:
        """The latest window against the champion's reference profile, per feature."""
        model = RegisteredModel.objects.lookup(model_id)
        report = asdict(services.model_drift(model=model))
        return Response(DriftReportSerializer(report).data)


class AlertsView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="models_alerts", responses=AlertsSerializer)
    def get(self, request: Request, model_id: str) -> Response:
        """Open alerts. `evaluated` is false while no alert rule is evaluated."""
        RegisteredModel.objects.lookup(model_id)
        return Response(
            {
                "evaluated": False,
                "detail": "No alert rules are evaluated; see the model's health and drift.",
                "alerts": [],
            }
        )


class SystemHealthView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="monitoring_health", responses=SystemHealthSerializer)
    def get(self, request: Request) -> Response:
        """Each component of the platform with its state."""
        parts = components.check_all()
        body = {"status": components.worst(parts), "components": [asdict(part) for part in parts]}
        return Response(body)
