"""Versions of models over REST: read, compared, taken out and brought in."""

from base64 import b64encode
from typing import Any

from django.http import FileResponse, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from aegisml.base.api.renderers import OrjsonRenderer
from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import Invalid
from models_app.api.renderers import MarkdownRenderer, ZipRenderer
from models_app.api.serializers import (
    ComparisonSerializer,
    ModelVersionDetailSerializer,
    VersionImportSerializer,
    VersionSerializer,
)
from models_app.ml.exchange import documents
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import comparing, evidence, exporting, importing


class VersionsView(generics.ListAPIView):
    """A model's versions, newest first, with metrics, signature and lineage."""

    roles = {"GET": roles.READ}
    serializer_class = VersionSerializer
    queryset = ModelVersion.objects.none()

    def get_queryset(self) -> Any:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.versions.select_related("created_by", "feature_set").prefetch_related(
            "aliases"
        )


class OneVersionView(generics.GenericAPIView):
    """A view of one version, by the model's name or id and the version's number."""

    queryset = ModelVersion.objects.none()

    def version(self) -> ModelVersion:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.versions.select_related("model", "created_by", "feature_set").numbered(
            self.kwargs["number"]
        )


@extend_schema_view(get=extend_schema(operation_id="versions_retrieve"))
class VersionView(OneVersionView):
    roles = {"GET": roles.READ}
    serializer_class = ModelVersionDetailSerializer

    def get(self, request: Request, model_id: str, number: int) -> Response:
        """One version: metrics with intervals and curves, lineage, policy, files with hashes."""
        return Response(_detail(self.version()))


@extend_schema_view(
    get=extend_schema(
        operation_id="versions_card", responses={(200, "text/markdown"): OpenApiTypes.STR}
    )
)
class CardView(OneVersionView):
    roles = {"GET": roles.READ}
    renderer_classes = (MarkdownRenderer, OrjsonRenderer)
    pagination_class = None
    filter_backends = ()

    def get(self, request: Request, model_id: str, number: int) -> HttpResponse:
        """The model card, as Markdown."""
        version = self.version()
        return HttpResponse(
            evidence.card_of(version),
            content_type="text/markdown; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{_stem(version)}.md"'},
        )


@extend_schema_view(
    get=extend_schema(
        operation_id="versions_bundle", responses={(200, "application/zip"): OpenApiTypes.BINARY}
    )
)
class BundleView(OneVersionView):
    roles = {"GET": roles.EXPORT_VERSIONS}
    renderer_classes = (ZipRenderer, OrjsonRenderer)
    pagination_class = None
    filter_backends = ()

    def get(self, request: Request, model_id: str, number: int) -> FileResponse:
        """The version as a zip, the same bytes each time: its files, a manifest of their hashes,
        and what the registry knows. Who takes one is recorded."""
        exported = exporting.export_version(version=self.version(), actor=caller(request))
        answer = FileResponse(
            exported.stream, as_attachment=True, filename=exported.name,
            content_type="application/zip",
        )  # fmt: skip
        answer["Content-Length"] = str(exported.bytes)
        digest = b64encode(bytes.fromhex(exported.sha256)).decode()
        answer["Repr-Digest"] = f"sha-256=:{digest}:"  # RFC 9530
        return answer


class VersionImportView(generics.GenericAPIView):
    roles = {"POST": roles.IMPORT_VERSIONS}
    parser_classes = (MultiPartParser,)
    serializer_class = ModelVersionDetailSerializer
    queryset = ModelVersion.objects.none()

    @extend_schema(
        operation_id="versions_import",
        request={"multipart/form-data": VersionImportSerializer},
        responses={201: ModelVersionDetailSerializer},
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Register what a file holds as the next version. It is looked at in a process of its
        own, and nothing is kept of a file that is refused."""
        model = RegisteredModel.objects.lookup(model_id)
        form = VersionImportSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        said = form.validated_data
        version = importing.import_version(
            model=model,
            actor=caller(request),
            incoming=importing.Incoming(
                name=said["file"].name,
                file=said["file"],
                wishes=Wishes(
                    signature=_signature(said.get("signature")),
                    threshold=said.get("threshold"),
                    fill=said.get("fill"),
                    output=said.get("output"),
                ),
                feature_set=said.get("feature_set"),
            ),
        )
        address = f"/api/v1/models/{model.pk}/versions/{version.number}"
        location = request.build_absolute_uri(address)
        return Response(_detail(version), status=201, headers={"Location": location})


@extend_schema_view(
    get=extend_schema(
        operation_id="versions_compare",
        parameters=[
            OpenApiParameter(
                "versions",
                str,
                required=True,
                description=f"{comparing.FEWEST} to {comparing.MOST} of them, such as 1,3,other@2",
            )
        ],
    )
)
class CompareView(generics.GenericAPIView):
    roles = {"GET": roles.READ}
    serializer_class = ComparisonSerializer
    queryset = ModelVersion.objects.none()

    def get(self, request: Request, model_id: str) -> Response:
        """Versions side by side: metrics with intervals, parameters, lineage and features."""
        model = RegisteredModel.objects.lookup(model_id)
        versions = comparing.asked_for(request.query_params.get("versions", ""), model=model)
        return Response(ComparisonSerializer(comparing.compared(versions)).data)


def _detail(version: ModelVersion) -> Any:
    context = {"evidence": evidence.of_version(version)}
    return ModelVersionDetailSerializer(version, context=context).data


def _signature(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return documents.read(text, name="it", field="signature")
    except Refused as error:
        raise Invalid.field(error.field, error.text) from None


def _stem(version: ModelVersion) -> str:
    return f"{version.model.name}-v{version.number}"
