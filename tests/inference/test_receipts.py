"""What stays of the score of a raw event: the receipt, and which event it was about."""

from typing import Any

import orjson
import pytest
from django.conf import settings
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import FeatureSet, Label, PredictionEvent
from inference import jobs, journal, services
from inference.models import JournalSegment, Prediction
from tests.factories import (
    api_client,
    make_set,
    make_stream,
    make_view,
    pinned_version,
    raw_event,
)
from tests.features.online_door import ago, materialize, send, values

pytestmark = pytest.mark.django_db

RISK = [
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
    {"name": "risk_30d", "aggregate": "label_rate", "window": "30d", "lag": "1d"},
]


@pytest.fixture
def caller(db: None) -> APIClient:
    return api_client(roles.OPERATOR)


@pytest.fixture
def feature_set(own_folders: Any) -> FeatureSet:
    pinned = make_set(make_view("spent", stream=make_stream("payments"), features=RISK))
    materialize()
    return pinned


@pytest.fixture
def score(caller: APIClient, feature_set: FeatureSet) -> Any:
    """Score a raw event by a deployed version; gives the prediction's id."""
    version = pinned_version(feature_set)
    services.deploy(model=version.model, actor=version.created_by)

    def ask(**event: Any) -> str:
        body = {"event": raw_event(**event)}
        answer = caller.post(f"/api/v1/models/{version.model.name}/predict", body)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["prediction_id"]
        return found

    return ask


def test_the_row_equals_the_record(score: Any) -> None:
    prediction = score(transaction_id="tx-1")
    record = journal.find(settings.JOURNAL_ROOT, prediction)
    assert record is not None
    jobs.ship(settings.JOURNAL_ROOT)
    row = Prediction.objects.get(pk=prediction)
    assert (row.features, row.context) == (record["features"], record["context"])
    assert row.context["event_id"] == "tx-1"


def test_records_without_a_context_are_shipped_as_they_are(predict: Any) -> None:
    prediction = predict().json()["prediction_id"]
    (segment,) = journal.segments(settings.JOURNAL_ROOT)
    assert "context" not in orjson.loads(segment.read_bytes())
    jobs.ship(settings.JOURNAL_ROOT)
    assert Prediction.objects.get(pk=prediction).context is None
    assert Prediction.objects.filter(context__isnull=True).count() == 1


def test_shipping_links_each_prediction_to_its_event_once(score: Any) -> None:
    made = {score(transaction_id=f"tx-{i}"): f"tx-{i}" for i in range(3)}
    jobs.ship(settings.JOURNAL_ROOT)
    JournalSegment.objects.all().delete()  # as if the offset had been lost
    jobs.ship(settings.JOURNAL_ROOT)
    links = PredictionEvent.objects.values_list("prediction_id", "stream__name", "event_id")
    assert {(str(key), stream, event) for key, stream, event in links} == {
        (key, "payments", event) for key, event in made.items()
    }


def test_links_ask_the_database_as_much_for_many_as_for_few(
    score: Any, django_assert_max_num_queries: Any
) -> None:
    for i in range(20):
        score(transaction_id=f"tx-{i}")
    with django_assert_max_num_queries(25):
        jobs.ship(settings.JOURNAL_ROOT)


@pytest.mark.parametrize("labelled_first", [True, False])
def test_a_label_by_prediction_finds_the_event(
    score: Any,
    caller: APIClient,
    feature_set: FeatureSet,
    labelled_first: bool,
    django_capture_on_commit_callbacks: Any,
) -> None:
    event = raw_event(transaction_id="tx-7", timestamp=ago(days=5))
    prediction = score(**event)
    send(caller, feature_set.stream, event)
    label = {
        "prediction_id": prediction, "source": "chargeback", "disposition": "confirmed_risk",
    }  # fmt: skip

    def tell() -> None:
        assert caller.post("/api/v1/labels", {"label": label}).status_code == 200

    def ship() -> None:
        jobs.ship(settings.JOURNAL_ROOT)

    for step in (tell, ship) if labelled_first else (ship, tell):
        with django_capture_on_commit_callbacks(execute=True):
            step()
    assert Label.objects.get().event_id == "tx-7"
    assert values(caller, feature_set)["risk_30d"] == 1
