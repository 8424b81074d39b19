"""What the store found out about its own features, over REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics

from aegisml.base.api.pagination import NewestFirst
from aegisml.base.auth import roles
from aegisml.base.errors import Invalid
from features.api.serializers import reports as shapes
from features.models import ConsistencyRun, FeatureProfile, FeatureSet, FeatureViewVersion


class NewestDayFirst(NewestFirst):
    ordering = ("-day", "feature")


@extend_schema_view(
    get=extend_schema(
        operation_id="feature_view_versions_profiles", parameters=[shapes.ProfileQuerySerializer]
    )
)
class ProfilesView(generics.ListAPIView):
    """How a version's features were distributed, per day of event time, the newest first."""

    roles = {"GET": roles.READ}
    serializer_class = shapes.ProfileSerializer
    pagination_class = NewestDayFirst
    queryset = FeatureProfile.objects.none()

    def get_queryset(self) -> Any:
        name, number = self.kwargs["name"], self.kwargs["number"]
        version = FeatureViewVersion.objects.pinned(f"{name}@v{number}", field="name")
        query = {
            key: self.request.query_params[key]
            for key in ("feature", "from", "to")
            if key in self.request.query_params
        }
        form = shapes.ProfileQuerySerializer(data=query)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        rows = version.profiles.all()
        if "feature" in asked:
            if asked["feature"] not in version.compiled.names:
                raise Invalid.field("feature", f"{version} has no feature of this name")
            rows = rows.filter(feature=asked["feature"])
        if "from" in asked:
            rows = rows.filter(day__gte=asked["from"])
        return rows.filter(day__lte=asked["to"]) if "to" in asked else rows


@extend_schema_view(
    get=extend_schema(
        operation_id="features_consistency",
        parameters=[OpenApiParameter("feature_set", str, description='"name@v1" or "name"')],
    )
)
class ConsistencyView(generics.ListAPIView):
    """Comparisons of served features with the same computed again, newest first."""

    roles = {"GET": roles.READ}
    serializer_class = shapes.ConsistencySerializer
    queryset = ConsistencyRun.objects.select_related("feature_set")

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        asked = self.request.query_params.get("feature_set")
        if asked is None:
            return rows
        return rows.filter(feature_set=FeatureSet.objects.pinned(asked))
