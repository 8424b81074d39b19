"""Tuning over REST."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegisml.base.auth import roles
from aegisml.base.auth.rest import caller
from models_app.models import RegisteredModel
from training.api.shared import IDEMPOTENCY, key_of, source_of
from training.api.study_serializers import (
    StudyDetailSerializer,
    StudySerializer,
    TuneSerializer,
)
from training.choices import StudyStatus
from training.models import Study
from training.services import studies as services
from training.services.jobs import Terms

RELATED = ("model", "version", "requested_by", "feature_set__stream")
PLAN = ("space", "metric", "sampler", "pruner", "trials", "time_budget_seconds", "workers")


class StudyFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=StudyStatus.choices)

    class Meta:
        model = Study
        fields = ("status",)


class TuneView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="models_tune",
        parameters=[IDEMPOTENCY],
        request=TuneSerializer,
        responses={202: StudyDetailSerializer},
    )
    def post(self, request: Request, model_id: str) -> Response:
        """Queue a search for the parameters that are best on validation rows.

        Answers at once with the study, whose address is in `Location`. It ends when its trials
        or its time are used up; the best parameters then are trained as a version.
        """
        model = RegisteredModel.objects.lookup(model_id)
        form = TuneSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        plan = services.Plan(
            algorithms=tuple(given.get("algorithms", ())),
            is_automl=given["automl"],
            **{name: given[name] for name in PLAN if name in given},
        )
        study = services.request_study(
            model=model,
            actor=caller(request),
            source=source_of(given),
            plan=plan,
            parameters=given.get("parameters"),
            reason=given["reason"],
            terms=Terms(idempotency_key=key_of(request)),
        )
        address = f"/api/v1/models/{study.model_id}/studies/{study.pk}"
        location = request.build_absolute_uri(address)
        shown = StudyDetailSerializer.shown(study)
        return Response(shown, status=202, headers={"Location": location})


class StudiesView(generics.ListAPIView):
    """A model's studies, newest first."""

    roles = {"GET": roles.READ}
    serializer_class = StudySerializer
    filterset_class = StudyFilter
    queryset = Study.objects.none()

    def get_queryset(self) -> Any:
        model = RegisteredModel.objects.lookup(self.kwargs["model_id"])
        return model.studies.select_related(*RELATED).with_best_value()


class StudyView(APIView):
    roles = {"GET": roles.READ}

    @extend_schema(operation_id="study_retrieve", responses=StudyDetailSerializer)
    def get(self, request: Request, model_id: str, study_id: str) -> Response:
        """A study: status, its trials, the best so far, how much each parameter matters, how
        long the search still takes, and the version that came of it."""
        return Response(StudyDetailSerializer.shown(_study(model_id, study_id)))


class StudyCancelView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(
        operation_id="study_cancel", request=None, responses={202: StudyDetailSerializer}
    )
    def post(self, request: Request, model_id: str, study_id: str) -> Response:
        """Stop a study: a queued one at once, the trials of a running one within two seconds."""
        study = services.cancel(study=_study(model_id, study_id), actor=caller(request))
        return Response(StudyDetailSerializer.shown(study), status=202)


class StudyTrainView(APIView):
    roles = {"POST": roles.TRAIN}

    @extend_schema(operation_id="study_train", request=None, responses={202: StudyDetailSerializer})
    def post(self, request: Request, model_id: str, study_id: str) -> Response:
        """Train a version with the best parameters of a study that ended without one, such as a
        cancelled one. The best trial then names the job."""
        study = _study(model_id, study_id)
        services.train_best(study=study, actor=caller(request))
        return Response(StudyDetailSerializer.shown(study), status=202)


def _study(model_id: str, study_id: str) -> Study:
    model = RegisteredModel.objects.lookup(model_id)
    return model.studies.select_related(*RELATED).with_best_value().lookup(study_id)
