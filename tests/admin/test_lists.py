"""Lists cost as many questions for many rows as for few."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aegisml.base.auth import roles
from features.models import (
    ConsistencyRun,
    FeatureProfile,
    HistoricalJob,
    IngestFile,
    Label,
    QuarantinedRow,
)
from inference import services as serving
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db


def add_rows():
    version = factories.trained_version()
    serving.deploy(model=version.model, actor=version.created_by, reason="x")
    study = factories.make_study(version.model)
    study.trials.create(number=0, algorithm="xgboost", status="succeeded", value=0.5)
    add_feature_rows(factories.make_set(), version.created_by)


def add_feature_rows(pinned, actor):
    version, stream = pinned.members.get().version, pinned.stream
    IngestFile.objects.create(stream=stream, sha256=pinned.pk.hex, name="payments.csv")
    QuarantinedRow.objects.create(
        stream=stream, source="api", line=0, raw="{}",
        reasons=[{"field": "amount", "rule": "type", "message": "must be a number"}],
    )  # fmt: skip
    said = {"stream": stream, "source": "analyst", "disposition": "confirmed_risk"}
    label = Label.objects.create(event_id="1", recorded_by=actor, **said)
    Label.objects.create(event_id="1", recorded_by=actor, reverses=label, **said)
    HistoricalJob.objects.create(feature_set=pinned, request={}, requested_by=actor)
    FeatureProfile.objects.create(
        version=version, feature="payments_7d", day=timezone.now().date(), rows=9, nulls=1,
        histogram={"edges": [1.5], "counts": [4, 5], "sample": 9}, quantiles={"p50": 3.25},
    )  # fmt: skip
    ConsistencyRun.objects.create(
        feature_set=pinned, since=timezone.now(), until=timezone.now(),
        features=[
            {"feature": "payments_7d", "version": str(version), "compared": 9, "mismatch": 1,
             "missing": 0, "extra": 0, "smape": 0.1, "max_difference": 2.0,
             "examples": [{"prediction": str(pinned.pk), "served": 3.0, "again": 5.0}]}
        ],
    )  # fmt: skip


def asked_by(client):
    """The number of queries of each list."""
    counts = {}
    for page in pages.LISTS:
        with CaptureQueriesContext(connection) as asked:
            client.get(pages.changelist(page))
        counts[page] = len(asked)
    return counts


def test_the_number_of_queries_does_not_grow_with_the_rows(log_in):
    client = log_in(roles.ADMIN)
    add_rows()
    add_rows()
    few = asked_by(client)
    add_rows()
    add_rows()

    assert asked_by(client) == few
    assert max(few.values()) < 20


@pytest.mark.parametrize("query", [{"q": "fraud"}, {"o": "1.-2.3"}, {"q": "%' OR 1=1 --"}])
def test_searching_and_sorting_any_list_works(log_in, query):
    client = log_in(roles.ADMIN)
    add_rows()

    answers = {page: client.get(pages.changelist(page), query).status_code for page in pages.LISTS}

    assert set(answers.values()) <= {200, 302}


@pytest.mark.parametrize(
    "model", [IngestFile, QuarantinedRow, Label, HistoricalJob, FeatureProfile, ConsistencyRun]
)
def test_a_row_that_people_only_look_at_has_a_page(log_in, model):
    pinned = factories.make_set()
    add_feature_rows(pinned, pinned.created_by)

    assert log_in(roles.VIEWER).get(pages.change(model.objects.first())).status_code == 200
