"""Many rows in one request."""

from typing import Any

from django.conf import settings

from inference import jobs, journal
from inference.models import Prediction
from tests.factories import payment


def test_a_batch_gives_the_scores_of_its_rows_one_by_one(predict: Any, predict_batch: Any) -> None:
    rows = [payment(amount=amount) for amount in (1.0, 80.0, 900.0)]
    answer = predict_batch(rows).json()
    singles = [predict({"features": row}).json()["score"] for row in rows]
    assert [row["score"] for row in answer["predictions"]] == singles
    assert answer["count"] == 3


def test_every_row_of_a_batch_is_recorded_once(predict_batch: Any) -> None:
    answer = predict_batch([payment(amount=float(i)) for i in range(2500)]).json()
    jobs.ship(settings.JOURNAL_ROOT)
    told = {row["prediction_id"] for row in answer["predictions"]}
    stored = {str(pk) for pk in Prediction.objects.values_list("pk", flat=True)}
    assert stored == told
    assert len(told) == 2500


def test_one_wrong_row_refuses_the_batch_names_the_row_and_records_nothing(
    predict_batch: Any,
) -> None:
    answer = predict_batch([payment(), payment(amount="much"), payment(location="moon")])
    fields = {error["field"] for error in answer.json()["errors"]}
    assert answer.status_code == 400
    assert fields == {"instances.1.amount", "instances.2.location"}
    assert journal.segments(settings.JOURNAL_ROOT) == []


def test_an_empty_batch_is_refused(predict_batch: Any) -> None:
    answer = predict_batch([])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "instances"


def test_a_batch_over_the_limit_is_refused(predict_batch: Any) -> None:
    answer = predict_batch([{}] * (settings.INFERENCE.max_batch_rows + 1))
    assert answer.status_code == 400
    assert "1 to 10,000 rows" in answer.json()["detail"]


def test_a_batch_of_the_full_size_is_answered(predict_batch: Any) -> None:
    answer = predict_batch([payment()] * settings.INFERENCE.max_batch_rows)
    assert answer.status_code == 200
    assert answer.json()["count"] == 10_000
