"""Models over REST."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from models_app.api.filters import ModelFilter
from models_app.api.serializers import (
    KnownAlgorithmSerializer,
    ModelSerializer,
    ModelWriteSerializer,
)
from models_app.choices import Algorithm
from models_app.ml.algorithms import PARAMETERS
from models_app.models import RegisteredModel
from models_app.services import registry


class AlgorithmsView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="algorithms_list", responses=KnownAlgorithmSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What can be trained, and the parameters that each takes."""
        configured = settings.TRAINING.algorithms
        rows = [
            {
                "name": name,
                "title": Algorithm(name).label,
                "enabled": getattr(configured, name).enabled,
                "parameters": parameters,
            }
            for name, parameters in PARAMETERS.items()
        ]
        return Response(KnownAlgorithmSerializer(rows, many=True).data)


class ModelsView(generics.ListAPIView):
    """All models, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_MODELS}
    serializer_class = ModelSerializer
    filterset_class = ModelFilter
    queryset = RegisteredModel.objects.with_versions().select_related("owner")

    @extend_schema(
        operation_id="models_create", request=ModelWriteSerializer, responses={201: ModelSerializer}
    )
    def post(self, request: Request) -> Response:
        """Register a model."""
        form = ModelWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        model = registry.create_model(actor=caller(request), **form.validated_data)
        location = request.build_absolute_uri(f"/api/v1/models/{model.pk}")
        return Response(_shown(model.pk), status=201, headers={"Location": location})


class ModelView(generics.GenericAPIView):
    """One model, by id or by name."""

    roles = {
        "GET": roles.READ,
        "PUT": roles.EDIT_MODELS,
        "PATCH": roles.EDIT_MODELS,
        "DELETE": roles.RETIRE_MODELS,
    }
    serializer_class = ModelSerializer
    queryset = RegisteredModel.objects.all()

    @extend_schema(operation_id="models_retrieve")
    def get(self, request: Request, model_id: str) -> Response:
        """A model with its aliases and newest version."""
        return Response(_shown(RegisteredModel.objects.lookup(model_id).pk))

    @extend_schema(operation_id="models_replace", request=ModelWriteSerializer)
    def put(self, request: Request, model_id: str) -> Response:
        """Replace a model's fields; what is left out returns to its default."""
        blank = {"description": "", "parameters": {}, "tags": [], "tier": "medium"}
        return self._update(request, model_id, partial=False, blank=blank)

    @extend_schema(operation_id="models_update", request=ModelWriteSerializer(partial=True))
    def patch(self, request: Request, model_id: str) -> Response:
        """Change some of a model's fields."""
        return self._update(request, model_id, partial=True, blank={})

    @extend_schema(operation_id="models_retire", responses={204: None})
    def delete(self, request: Request, model_id: str) -> Response:
        """Retire a model. Its history stays; refused (409) while a version is deployed."""
        model = RegisteredModel.objects.lookup(model_id)
        registry.retire_model(model=model, actor=caller(request))
        return Response(status=204)

    def _update(
        self, request: Request, model_id: str, *, partial: bool, blank: dict[str, Any]
    ) -> Response:
        model = RegisteredModel.objects.lookup(model_id)
        form = ModelWriteSerializer(data=request.data, partial=partial)
        form.is_valid(raise_exception=True)
        registry.update_model(
            model=model, actor=caller(request), **{**blank, **form.validated_data}
        )
        return Response(_shown(model.pk))


def _shown(pk: Any) -> Any:
    return ModelSerializer(ModelsView.queryset.get(pk=pk)).data
