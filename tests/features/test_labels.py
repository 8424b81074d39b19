"""Labels come late, contradict each other and are taken back; the rates follow."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features import label_log
from features.jobs import labelling
from features.log.events import microseconds
from features.models import FeatureSet, Label, PredictionEvent, Stream
from features.services import labels as service
from tests.factories import api_client, make_set, make_stream, make_view, raw_event
from tests.features.online_door import ago, materialize, send, values

pytestmark = pytest.mark.django_db
LABELS = "/api/v1/labels"
RISK = [{"name": "risk", "aggregate": "label_rate", "window": "30d", "lag": "1d"}]


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.OPERATOR)


@pytest.fixture
def stream(db: None) -> Stream:
    return make_stream("payments")


@pytest.fixture
def pinned(client: APIClient, stream: Stream) -> FeatureSet:
    """A label rate over four events of customer c1, of which `own` came with a label."""
    built = make_set(make_view("risk", stream=stream, features=RISK))
    materialize()
    send(
        client,
        stream,
        *(raw_event(transaction_id=f"e{i}", timestamp=ago(days=3 + i)) for i in range(3)),
        raw_event(transaction_id="own", timestamp=ago(days=10), is_fraud=True),
    )
    return built


@pytest.fixture
def tell(client: APIClient, django_capture_on_commit_callbacks: Any) -> Callable[..., Any]:
    """Send one label about e0; gives the answer's body."""

    def send_label(disposition: str = "confirmed_risk", **fields: Any) -> Any:
        about = {} if "prediction_id" in fields else {"stream": "payments", "event_id": "e0"}
        label = {**about, "source": "analyst", "disposition": disposition, **fields}
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post(LABELS, {"label": label})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return send_label


@pytest.fixture
def take_back(client: APIClient, django_capture_on_commit_callbacks: Any) -> Callable[..., Any]:
    def reverse(label_id: str) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(f"{LABELS}/{label_id}/reverse", {"comment": "a mistake"})

    return reverse


def rate(client: APIClient, pinned: FeatureSet) -> float:
    found: float = values(client, pinned)["risk"]
    return found


def test_an_events_own_label_counts(client: APIClient, pinned: FeatureSet) -> None:
    assert rate(client, pinned) == 0.25


def test_a_late_label_moves_the_rate(client: APIClient, pinned: FeatureSet, tell: Any) -> None:
    assert tell()["accepted"] == 1
    assert rate(client, pinned) == 0.5


def test_a_reversal_moves_the_rate_back(
    client: APIClient, pinned: FeatureSet, tell: Any, take_back: Any
) -> None:
    [label_id] = tell()["ids"]
    answer = take_back(label_id)
    assert answer.status_code == 201
    assert answer.json()["reverses"] == label_id
    assert rate(client, pinned) == 0.25


def test_what_was_reversed_lets_the_events_own_label_speak_again(
    client: APIClient, pinned: FeatureSet, tell: Any, take_back: Any
) -> None:
    [label_id] = tell("false_positive", event_id="own")["ids"]
    assert rate(client, pinned) == 0
    take_back(label_id)
    assert rate(client, pinned) == 0.25


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([("analyst", "confirmed_risk"), ("analyst", "false_positive")], 0.25),
        ([("chargeback", "confirmed_risk"), ("analyst", "false_positive")], 0.5),
        ([("customer", "confirmed_risk"), ("sar", "valuable_alert")], 0.25),
        ([("customer", "valuable_alert"), ("analyst", "confirmed_risk")], 0.5),
    ],
)
def test_the_strongest_source_wins_then_the_newest(
    client: APIClient, pinned: FeatureSet, tell: Any, words: Any, expected: float
) -> None:
    for source, disposition in words:
        tell(disposition, source=source)
    assert rate(client, pinned) == expected


def test_an_event_that_is_fed_again_does_not_undo_what_an_analyst_said(
    client: APIClient, stream: Stream, pinned: FeatureSet, tell: Any
) -> None:
    tell("false_positive", event_id="own")
    materialize(all=True)
    assert rate(client, pinned) == 0


def test_labels_survive_the_loss_of_redis(
    client: APIClient, pinned: FeatureSet, tell: Any, redis_connection: redis.Redis
) -> None:
    tell()
    tell("false_positive", event_id="own")
    redis_connection.flushdb()
    materialize()
    assert rate(client, pinned) == 0.25


def test_a_label_that_redis_missed_is_brought_later(
    client: APIClient, stream: Stream, pinned: FeatureSet
) -> None:
    label = {"stream": "payments", "event_id": "e0", "source": "sar",
             "disposition": "confirmed_risk"}  # fmt: skip
    client.post(LABELS, {"label": label})  # the callback after commit isn't run
    assert rate(client, pinned) == 0.25
    labelling.catch_up()
    assert rate(client, pinned) == 0.5


def test_catching_up_looks_at_what_is_new_only(client: APIClient, pinned: FeatureSet) -> None:
    labelling.catch_up()
    label = {"stream": "payments", "event_id": "e0", "source": "sar",
             "disposition": "confirmed_risk"}  # fmt: skip
    client.post(LABELS, {"label": label})
    Label.objects.update(known_time=timezone.now() - timedelta(minutes=10))
    labelling.catch_up()
    assert rate(client, pinned) == 0.25
    Label.objects.update(known_time=timezone.now() - timedelta(minutes=1))
    labelling.catch_up()
    assert rate(client, pinned) == 0.5


def test_the_same_statement_twice_is_one_label(pinned: FeatureSet, tell: Any) -> None:
    first = tell(external_id="case-7")
    assert (first["accepted"], first["duplicates"]) == (1, 0)
    again = tell(external_id="case-7")
    assert (again["accepted"], again["duplicates"], again["ids"]) == (0, 1, [])
    assert tell(external_id="case-7", source="sar")["accepted"] == 1


def test_an_external_id_can_not_say_something_else_later(
    client: APIClient, pinned: FeatureSet, tell: Any
) -> None:
    tell(external_id="case-7")
    other = {"stream": "payments", "event_id": "e1", "source": "analyst",
             "disposition": "confirmed_risk", "external_id": "case-7"}  # fmt: skip
    answer = client.post(LABELS, {"label": other})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "label.external_id",
         "message": "'case-7' is of another statement of this source"}
    ]  # fmt: skip


def test_many_labels_are_taken_beside_a_bad_one(
    client: APIClient, pinned: FeatureSet, django_capture_on_commit_callbacks: Any
) -> None:
    ids = ["e0", "nothing", "e1", "e0"]
    sent = [
        {"stream": "payments", "event_id": event_id, "source": "analyst",
         "disposition": "confirmed_risk", "external_id": event_id} for event_id in ids
    ]  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        body = client.post(LABELS, {"labels": sent}).json()
    del body["ids"]
    assert body == {
        "accepted": 2, "duplicates": 1, "rejected": 1, "waiting": 0,
        "errors": [{"index": 1, "field": "event_id",
                    "message": "'nothing' is no event of payments; send the event first"}],
    }  # fmt: skip
    assert rate(client, pinned) == 0.75


def test_of_two_words_in_one_request_the_lower_is_the_newer(
    client: APIClient, pinned: FeatureSet, django_capture_on_commit_callbacks: Any
) -> None:
    words = ["false_positive", "confirmed_risk"] * 10
    sent = [
        {"stream": "payments", "event_id": "e0", "source": "analyst", "disposition": word}
        for word in words
    ]
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(LABELS, {"labels": sent}).json()["accepted"] == 20
    assert rate(client, pinned) == 0.5


@pytest.mark.parametrize(
    ("label", "field"),
    [
        ({"stream": "nothing", "event_id": "e0"}, "label.stream"),
        ({"stream": "payments", "event_id": "nothing"}, "label.event_id"),
        ({"stream": "payments"}, "label.event_id"),
        ({"event_id": "e0"}, "label.event_id"),
        ({"stream": "payments", "event_id": "e0", "prediction_id": str(uuid.uuid4())},
         "label.event_id"),
        ({"prediction_id": "7"}, "label.prediction_id"),
        ({"stream": "payments", "event_id": "e0", "source": "gossip"}, "label.source"),
        ({"stream": "payments", "event_id": "e0", "disposition": "bad"}, "label.disposition"),
        ({"stream": "payments", "event_id": "e0", "verdict": 1}, "label.verdict"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_refused_by_name(
    client: APIClient, pinned: FeatureSet, label: dict[str, Any], field: str
) -> None:
    sent = {"source": "analyst", "disposition": "confirmed_risk", **label}
    answer = client.post(LABELS, {"label": sent})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert Label.objects.count() == 0


@pytest.mark.parametrize("body", [{}, {"labels": []}, {"label": {}, "labels": []}, {"x": 1}, []])
def test_a_body_without_labels_is_refused(client: APIClient, body: Any) -> None:
    assert client.post(LABELS, body).status_code == 400


def test_a_label_about_a_prediction_waits_for_its_event(
    client: APIClient,
    stream: Stream,
    pinned: FeatureSet,
    tell: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    prediction = uuid.uuid4()
    body = tell(prediction_id=str(prediction))
    assert (body["accepted"], body["waiting"]) == (1, 1)
    with django_capture_on_commit_callbacks(execute=True):
        service.link([(prediction, "payments", "e0"), (uuid.uuid4(), "nothing", "e0")])
    assert rate(client, pinned) == 0.5
    assert Label.objects.get().event_id == "e0"
    assert PredictionEvent.objects.count() == 1


def test_a_label_about_a_linked_prediction_counts_at_once(
    client: APIClient, stream: Stream, pinned: FeatureSet, tell: Any
) -> None:
    prediction = uuid.uuid4()
    service.link([(prediction, "payments", "e0")])
    assert tell(prediction_id=str(prediction))["waiting"] == 0
    assert rate(client, pinned) == 0.5


def test_a_prediction_may_be_linked_before_its_event_arrives(
    client: APIClient, stream: Stream, pinned: FeatureSet, tell: Any
) -> None:
    prediction = uuid.uuid4()
    service.link([(prediction, "payments", "late")])
    assert tell(prediction_id=str(prediction))["waiting"] == 1
    send(client, stream, raw_event(transaction_id="late", timestamp=ago(days=2)))
    assert rate(client, pinned) == 1 / 5
    labelling.catch_up()
    assert rate(client, pinned) == 2 / 5


def test_a_label_is_reversed_once(pinned: FeatureSet, tell: Any, take_back: Any) -> None:
    [label_id] = tell()["ids"]
    reversal = take_back(label_id).json()["id"]
    assert take_back(label_id).status_code == 409
    assert take_back(reversal).status_code == 409
    assert take_back(str(uuid.uuid4())).status_code == 404
    assert take_back("nothing").status_code == 404


def test_an_events_labels_can_be_read(
    client: APIClient, pinned: FeatureSet, tell: Any, take_back: Any
) -> None:
    [label_id] = tell(comment="card stolen")["ids"]
    tell(event_id="e1")
    take_back(label_id)
    found = client.get(LABELS, {"stream": "payments", "event_id": "e0"}).json()["results"]
    assert [row["reverses"] for row in found] == [label_id, None]
    assert found[1]["comment"] == "card stolen"
    assert found[1]["reversed_at"] == found[0]["known_time"]
    prediction = str(uuid.uuid4())
    assert client.get(LABELS, {"prediction_id": prediction}).json()["results"] == []
    assert client.get(LABELS, {"prediction_id": "7"}).status_code == 400


def test_the_log_tells_which_word_stood_when(
    stream: Stream, pinned: FeatureSet, tell: Any, take_back: Any
) -> None:
    [first] = tell("false_positive")["ids"]
    tell(source="chargeback")
    [other] = tell(event_id="own")["ids"]
    take_back(other)
    known = {row.pk: microseconds(row.known_time) for row in Label.objects.all()}
    second = Label.objects.get(source="chargeback")
    reversal = Label.objects.get(reverses=other)
    rows = label_log.intervals(stream).to_pylist()
    assert rows == [
        {"event_id": "e0", "start": known[uuid.UUID(first)], "end": known[second.pk],
         "is_positive": False},
        {"event_id": "e0", "start": known[second.pk], "end": None, "is_positive": True},
        {"event_id": "own", "start": known[uuid.UUID(other)], "end": known[reversal.pk],
         "is_positive": True},
    ]  # fmt: skip
