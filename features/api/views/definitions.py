"""Entities, feature views and feature sets over REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from aegisml.base.errors import Invalid, NotFound
from features.api.serializers import definitions as shapes
from features.models import Entity, FeatureSet, FeatureView, FeatureViewVersion, Stream
from features.querysets import parse_pin
from features.services import lineage, preview, sets, views

WHY = OpenApiParameter("reason", str, description="kept in the history")


class EntitiesView(generics.ListAPIView):
    """What features can be about, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_FEATURES}
    serializer_class = shapes.EntitySerializer
    queryset = Entity.objects.all()

    @extend_schema(
        operation_id="entities_create",
        request=shapes.EntityWriteSerializer,
        responses={201: shapes.EntitySerializer},
    )
    def post(self, request: Request) -> Response:
        """Name something that features can be about."""
        form = shapes.EntityWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        entity = views.create_entity(actor=caller(request), **form.validated_data)
        return Response(shapes.EntitySerializer(entity).data, status=201)


class ViewsView(generics.ListAPIView):
    """Feature views, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_FEATURES}
    serializer_class = shapes.ViewSerializer
    queryset = FeatureView.objects.with_versions()

    @extend_schema(
        operation_id="feature_views_define",
        request=shapes.ViewWriteSerializer,
        responses={201: shapes.VersionDetailSerializer, 200: shapes.VersionDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """Define a view, or a view's next version, which is staged until it is promoted.

        201 with the new version; 200 with the newest when the definition didn't change.
        """
        form = shapes.ViewWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = {**form.validated_data, **_source(form.validated_data)}
        version = views.define_view(actor=caller(request), **given)
        path = f"/api/v1/feature-views/{version.view.name}/versions/{version.number}"
        return Response(
            shapes.VersionDetailSerializer(version).data,
            status=201 if version.is_new else 200,
            headers={"Location": request.build_absolute_uri(path)},
        )


class PreviewView(APIView):
    roles = {"POST": roles.EDIT_FEATURES}

    @extend_schema(
        operation_id="feature_views_preview",
        request=shapes.PreviewRequestSerializer,
        responses=shapes.PreviewSerializer,
    )
    def post(self, request: Request) -> Response:
        """Compute a definition for the newest events of its stream; nothing is kept."""
        form = shapes.PreviewRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = {**form.validated_data, **_source(form.validated_data)}
        return Response(shapes.PreviewSerializer(preview.preview(**given)).data)


class ViewView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="feature_views_retrieve", responses=shapes.ViewDetailSerializer)
    def get(self, request: Request, name: str) -> Response:
        """A view with all its versions, newest first."""
        view = FeatureView.objects.with_versions().filter(name=name).first()
        if view is None:
            raise NotFound(f"No feature view {name[:80]!r}.")
        return Response(shapes.ViewDetailSerializer(view).data)


class VersionView(APIView):
    roles = {"GET": roles.READ, "DELETE": roles.EDIT_FEATURES}

    @extend_schema(
        operation_id="feature_view_versions_retrieve", responses=shapes.VersionDetailSerializer
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        """A version: its definition, and what each feature computes."""
        return Response(shapes.VersionDetailSerializer(_version(name, number)).data)

    @extend_schema(
        operation_id="feature_view_versions_discard", parameters=[WHY], responses={204: None}
    )
    def delete(self, request: Request, name: str, number: int) -> Response:
        """Discard a version; 409 while it is promoted, or pinned, then naming by whom."""
        views.discard(
            version=_version(name, number), actor=caller(request), reason=_reason(request)
        )
        return Response(status=204)


class PromoteView(APIView):
    roles = {"POST": roles.PROMOTE_FEATURES}

    @extend_schema(
        operation_id="feature_view_versions_promote",
        request=shapes.ReasonSerializer,
        responses=shapes.VersionDetailSerializer,
    )
    def post(self, request: Request, name: str, number: int) -> Response:
        """Make a version the one that the view's name means, and compute it online."""
        form = shapes.ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        version = views.promote(
            version=_version(name, number), actor=caller(request), **form.validated_data
        )
        return Response(shapes.VersionDetailSerializer(version).data)


class SetsView(generics.ListAPIView):
    """Feature sets, newest first."""

    roles = {"GET": roles.READ, "POST": roles.EDIT_FEATURES}
    serializer_class = shapes.SetSerializer
    queryset = FeatureSet.objects.with_members()

    @extend_schema(
        operation_id="feature_sets_create",
        request=shapes.SetWriteSerializer,
        responses={201: shapes.SetSerializer, 200: shapes.SetSerializer},
    )
    def post(self, request: Request) -> Response:
        """Pin features under a name's next number.

        201 with the new set; 200 with the newest of the name when it holds the same.
        """
        form = shapes.SetWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        made = sets.create_set(actor=caller(request), **form.validated_data)
        path = f"/api/v1/feature-sets/{made}"
        return Response(
            shapes.SetSerializer(made).data,
            status=201 if made.is_new else 200,
            headers={"Location": request.build_absolute_uri(path)},
        )


class SetView(APIView):
    """One feature set: `name@v1`, or `name` for its newest."""

    roles = {"GET": roles.READ, "DELETE": roles.EDIT_FEATURES}

    @extend_schema(operation_id="feature_sets_retrieve", responses=shapes.SetSerializer)
    def get(self, request: Request, name: str) -> Response:
        """A set with its features, by `name@v1`, or the newest of `name`."""
        return Response(shapes.SetSerializer(_set(name)).data)

    @extend_schema(operation_id="feature_sets_discard", parameters=[WHY], responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Discard a set by `name@v1`; 409 while something uses it, then naming it."""
        if parse_pin(name, field="name")[1] is None:
            raise Invalid.field("name", f"say which one, such as {name}@v1")
        sets.discard_set(feature_set=_set(name), actor=caller(request), reason=_reason(request))
        return Response(status=204)


class LineageView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="feature_sets_lineage", responses=shapes.LineageSerializer)
    def get(self, request: Request, name: str) -> Response:
        """What a set is made of, and the model versions and deployments that use it."""
        return Response(shapes.LineageSerializer(lineage.of_set(_set(name))).data)


def _source(given: dict[str, Any]) -> dict[str, Any]:
    """The stream and entity that a body names; raises `Invalid` naming the unknown one."""
    stream = Stream.objects.filter(name=given["stream"]).first()
    if stream is None:
        raise Invalid.field("stream", f"there is no stream {given['stream']!r}")
    name = given["entity"]
    entity = Entity.objects.filter(name=name).first() if name else None
    if name and entity is None:
        raise Invalid.field("entity", f"there is no entity {name!r}")
    return {"stream": stream, "entity": entity}


def _version(name: str, number: int) -> FeatureViewVersion:
    return FeatureViewVersion.objects.pinned(f"{name}@v{number}", field="name")


def _set(name: str) -> FeatureSet:
    return FeatureSet.objects.with_members().pinned(name, field="name")


def _reason(request: Request) -> str:
    return request.query_params.get("reason", "")[:400]
