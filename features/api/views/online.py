"""Features of this moment over REST."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from features.api.serializers import online as shapes
from features.log.events import moment
from features.models import FeatureSet
from features.online import Fetched, Plan
from features.services import online
from features.services.online import Wanted


class OnlineView(APIView):
    roles = {"POST": roles.READ_ONLINE}

    @extend_schema(
        operation_id="features_online",
        request=shapes.OnlineRequestSerializer,
        responses=shapes.OnlineResponseSerializer,
    )
    def post(self, request: Request) -> Response:
        """The features of a set for one request, or for up to 500: by entities, by the raw event
        at hand, or by both.

        503 while the store is being built: an answer is never silently empty.
        """
        form = shapes.OnlineRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        feature_set = FeatureSet.objects.pinned(data["feature_set"])
        many = data.get("requests")
        answered = online.read(
            feature_set=feature_set,
            wanted=[_wanted(one) for one in (many if many is not None else [data])],
            place="" if many is None else "requests",
        )
        results = [_shown(answered.plan, fetched) for fetched in answered.fetched]
        body = {"results": results} if many is not None else results[0]
        return Response({"feature_set": answered.plan.feature_set, **body})


def _wanted(data: dict[str, Any]) -> Wanted:
    return Wanted(entities=data.get("entities", {}), event=data.get("event"), at=data.get("at"))


def _shown(plan: Plan, fetched: Fetched) -> dict[str, Any]:
    features = {}
    for name, version in plan.version_of.items():
        state = fetched.views[version]
        as_of, age = state["as_of"], state["age"]
        features[name] = {
            "value": fetched.values[name],
            "version": version,
            "status": fetched.statuses[name],
            "as_of": None if as_of is None else moment(as_of),
            "age_seconds": None if age is None else age / 1_000_000,
        }
    rough = {
        version: state["approximate"]
        for version, state in fetched.views.items()
        if "approximate" in state
    }
    return {"features": features, **({"approximate": rough} if rough else {})}
