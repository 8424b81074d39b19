"""What a system gets when it asks for a score."""

from typing import Any

import pytest
from django.conf import settings

from aegisml.base import ids
from inference import jobs, journal
from inference.models import Prediction
from tests.factories import payment


def test_an_answer_names_its_prediction_its_version_and_its_decision(
    predict: Any, version: Any
) -> None:
    answer = predict()
    body = answer.json()
    assert answer.status_code == 200
    assert body["model"] == version.model.name
    assert body["version"] == 1
    assert 0 <= body["score"] <= 1
    assert body["decision"] in ("approve", "review", "block")
    assert body["latency_ms"] > 0
    assert ids.parse_uuid(body["prediction_id"])


def test_a_risky_payment_scores_higher_than_a_plain_one(predict: Any) -> None:
    plain = predict().json()
    risky = predict(amount=900.0, merchant_category="travel", location="foreign").json()
    assert risky["score"] > plain["score"]
    assert risky["decision"] in ("review", "block")


def test_a_warm_prediction_asks_the_database_nothing(
    predict: Any, django_assert_num_queries: Any
) -> None:
    predict()
    with django_assert_num_queries(0):
        assert predict().status_code == 200


def test_the_record_is_on_disk_when_the_answer_is_there(predict: Any) -> None:
    body = predict().json()
    record = journal.find(settings.JOURNAL_ROOT, body["prediction_id"])
    assert record is not None
    assert record["score"] == body["score"]
    assert record["features"] == payment()


def test_the_shipped_row_equals_the_answer(predict: Any, version: Any, service: Any) -> None:
    body = predict().json()
    jobs.ship(settings.JOURNAL_ROOT)
    row = Prediction.objects.get(pk=body["prediction_id"])
    assert (row.score, row.decision, row.threshold) == (
        body["score"], body["decision"], body["threshold"]
    )  # fmt: skip
    assert row.version_id == version.pk
    assert row.features == payment()
    assert row.caller.startswith("service")


def test_features_in_another_order_give_the_same_score(predict: Any) -> None:
    turned = dict(reversed(payment().items()))
    assert predict({"features": turned}).json()["score"] == predict().json()["score"]


def test_null_is_a_missing_value(predict: Any) -> None:
    assert predict(amount=None, location=None).status_code == 200


def test_the_callers_request_id_comes_back_and_is_recorded(
    client: Any, service: Any, version: Any
) -> None:
    answer = client.post(
        f"/api/v1/models/{version.model.name}/predict",
        {"features": payment()},
        content_type="application/json",
        headers={**service, "X-Request-Id": "order-4711"},
    )
    record = journal.find(settings.JOURNAL_ROOT, answer.json()["prediction_id"])
    assert answer["X-Request-Id"] == "order-4711"
    assert record is not None
    assert record["request_id"] == "order-4711"


@pytest.mark.parametrize("ship_first", [False, True])
def test_a_prediction_can_be_read_before_and_after_it_is_shipped(
    predict: Any, client: Any, service: Any, ship_first: bool
) -> None:
    body = predict().json()
    if ship_first:
        jobs.ship(settings.JOURNAL_ROOT)
    answer = client.get(f"/api/v1/predictions/{body['prediction_id']}", headers=service)
    assert answer.status_code == 200
    assert answer.json()["score"] == body["score"]
    assert answer.json()["features"] == payment()
    assert answer.json()["model"] == body["model"]


@pytest.mark.parametrize(
    "wrong",
    ["nope", "00000000-0000-0000-0000-000000000000", "01a20742-2b9d-710d-b567-f5ea7ff00bd1"],
)
def test_an_unknown_prediction_is_not_found(client: Any, service: Any, wrong: str) -> None:
    assert client.get(f"/api/v1/predictions/{wrong}", headers=service).status_code == 404
