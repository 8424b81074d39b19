"""Feature views: immutable numbered versions, staged until promoted, kept while they are pinned."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from aegisml.base.auth import roles
from features.choices import OnlineState, VersionStatus
from features.models import FeatureView, FeatureViewVersion
from features.services import views
from tests import factories

URL = "/api/v1/feature-views"
COUNT = {"name": "payments_7d", "aggregate": "count", "window": "7d"}
MEAN = {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def scientist():
    return factories.api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def operator():
    return factories.api_client(roles.OPERATOR)


@pytest.fixture
def stream():
    factories.make_entity("customer")
    return factories.make_stream("payments")


def body(*features, **changes):
    definition = {"features": list(features or (COUNT,))}
    return {
        "name": "activity", "stream": "payments", "entity": "customer", "definition": definition,
        **changes,
    }  # fmt: skip


def errors(answer):
    assert answer.status_code == 400, answer.json()
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_first_definition_is_version_1_and_staged(scientist, stream):
    answer = scientist.post(URL, body(note="first try"))

    told = answer.json()
    assert answer.status_code == 201
    assert answer["Location"].endswith("/api/v1/feature-views/activity/versions/1")
    assert (told["version"], told["status"], told["online"]) == (1, "staged", "off")
    assert told["note"] == "first try"


def test_the_same_definition_again_is_the_same_version(scientist, stream):
    scientist.post(URL, body(MEAN))
    backwards = dict(reversed(MEAN.items()))

    answer = scientist.post(URL, body(backwards))

    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert FeatureViewVersion.objects.count() == 1


def test_a_changed_definition_is_the_next_version_and_leaves_the_first_as_it_was(scientist, stream):
    scientist.post(URL, body(COUNT))

    answer = scientist.post(URL, body(COUNT, MEAN))

    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    first = scientist.get(f"{URL}/activity/versions/1").json()
    assert [feature["name"] for feature in first["features"]] == ["payments_7d"]


def test_a_version_tells_what_each_feature_computes(scientist, stream):
    risk = {"name": "risk", "aggregate": "label_rate", "window": "30d", "lag": "7d", "default": 0}
    rounded = {"name": "rest", "expression": "ratio(amount, mean_7d)"}
    high = {**MEAN, "where": "amount > 100"}

    told = scientist.post(URL, body(high, risk, rounded)).json()["features"]

    assert [(f["name"], f["shape"], f["what"]) for f in told] == [
        ("mean_7d", "aggregation", "mean of amount where amount > 100"),
        ("risk", "aggregation", "share of events with a confirmed-risk label"),
        ("rest", "transform", "ratio(amount, mean_7d)"),
    ]
    assert (told[1]["window"], told[1]["lag"], told[1]["default"]) == ("30d", "7d", 0)


@pytest.mark.parametrize(
    ("feature", "place", "said"),
    [
        ({**COUNT, "window": "0d"}, "window", "must be longer than zero"),
        ({**COUNT, "window": "7 days"}, "window", "whole number with a unit"),
        ({**MEAN, "of": "amont"}, "of", "amont"),
        ({**MEAN, "of": "is_fraud"}, "of", "'is_fraud' is the label"),
        ({**COUNT, "where": "amount >"}, "where", ""),
        ({**COUNT, "where": "__import__('os')"}, "where", ""),
        ({**COUNT, "aggregate": "median"}, "aggregate", "must be one of count"),
        ({**COUNT, "colour": "red"}, "colour", "unknown key"),
    ],
)
def test_a_wrong_part_is_named_by_its_place(scientist, stream, feature, place, said):
    answer = scientist.post(URL, body({**COUNT, "name": "a"}, {**COUNT, "name": "b"}, feature))

    assert said in errors(answer)[f"definition.features.2.{place}"]
    assert not FeatureView.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stream": "nothing"}, "stream"),
        ({"entity": "nobody"}, "entity"),
        ({"name": "Activity!"}, "name"),
        ({"name": "preview"}, "name"),
        ({"windows": "7d"}, "windows"),
        ({"definition": []}, "definition"),
        ({"definition": {"features": []}}, "definition.features"),
        ({"definition": {"entity": "terminal", "features": [COUNT]}}, "definition.entity"),
    ],
)
def test_a_wrong_field_is_named(scientist, stream, changes, field):
    assert field in errors(scientist.post(URL, body(**changes)))


def test_a_view_keeps_its_stream_and_entity(scientist, stream):
    scientist.post(URL, body())
    factories.make_stream("others")
    factories.make_entity("terminal")

    other_stream = scientist.post(URL, body(MEAN, stream="others"))
    other_entity = scientist.post(URL, body(MEAN, entity="terminal"))

    assert other_stream.status_code == other_entity.status_code == 409
    assert "activity reads payments" in other_stream.json()["detail"]
    assert "activity is of customer" in other_entity.json()["detail"]


def test_a_view_of_the_event_alone_has_no_aggregations(scientist, stream):
    assert "features.0" in str(errors(scientist.post(URL, body(COUNT, entity=None))))
    amount = {"name": "amount", "expression": "amount"}
    assert scientist.post(URL, body(amount, entity=None)).status_code == 201


def promote(client, number, reason="better"):
    return client.post(f"{URL}/activity/versions/{number}/promote", {"reason": reason})


def states():
    rows = FeatureViewVersion.objects.order_by("number")
    return [(row.status, row.online) for row in rows]


def test_promoting_supersedes_the_version_before_and_moves_the_online_store(operator, stream):
    operator.post(URL, body(COUNT))
    operator.post(URL, body(MEAN))

    promote(operator, 1)
    assert states()[0] == (VersionStatus.PROMOTED, OnlineState.BUILDING)
    promote(operator, 2)

    assert states() == [
        (VersionStatus.SUPERSEDED, OnlineState.OFF),
        (VersionStatus.PROMOTED, OnlineState.BUILDING),
    ]


def test_a_version_that_is_promoted_again_takes_its_place_back(operator, stream):
    operator.post(URL, body(COUNT))
    operator.post(URL, body(MEAN))
    for number in (1, 2, 1, 1):
        assert promote(operator, number).status_code == 200

    assert [status for status, _ in states()] == [VersionStatus.PROMOTED, VersionStatus.SUPERSEDED]
    assert operator.get(f"{URL}/activity").json()["promoted_version"] == 1


def test_a_superseded_version_that_is_pinned_stays_online(operator, stream):
    operator.post(URL, body(COUNT))
    operator.post(URL, body(MEAN))
    promote(operator, 1)
    factories.make_set(FeatureViewVersion.objects.get(number=1))

    promote(operator, 2)

    assert [online for _, online in states()] == [OnlineState.BUILDING, OnlineState.BUILDING]


def test_promoting_needs_a_reason_which_the_history_keeps(operator, stream):
    operator.post(URL, body())

    assert "reason" in errors(operator.post(f"{URL}/activity/versions/1/promote", {}))
    promote(operator, 1, "measured on March")

    assert LogEntry.objects.filter(change_message="Promoted. measured on March").exists()


def discard(client, number):
    return client.delete(f"{URL}/activity/versions/{number}?reason=unused")


def test_a_staged_version_is_discarded_and_its_number_is_not_given_again(scientist, stream):
    scientist.post(URL, body(COUNT))
    scientist.post(URL, body(MEAN))

    assert discard(scientist, 2).status_code == 204

    assert scientist.get(f"{URL}/activity/versions/2").status_code == 404
    assert scientist.post(URL, body(MEAN)).json()["version"] == 3
    assert LogEntry.objects.filter(change_message="Discarded. unused").exists()


def test_a_promoted_version_is_not_discarded(operator, stream):
    operator.post(URL, body())
    promote(operator, 1)

    answer = discard(operator, 1)

    assert answer.status_code == 409
    assert "activity@v1 is promoted" in answer.json()["detail"]


def test_a_pinned_version_is_not_discarded_and_the_refusal_names_the_set(scientist, stream):
    scientist.post(URL, body())
    pinned = factories.make_set(FeatureViewVersion.objects.get())

    answer = discard(scientist, 1)

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"activity@v1 is pinned by feature set {pinned}."
    assert FeatureViewVersion.objects.exists()


def test_a_view_goes_with_its_last_version(scientist, stream):
    scientist.post(URL, body())
    discard(scientist, 1)

    assert scientist.get(f"{URL}/activity").status_code == 404
    factories.make_entity("terminal")
    assert scientist.post(URL, body(entity="terminal")).json()["version"] == 2


def test_the_list_and_the_view_tell_the_newest_and_the_promoted_version(operator, stream):
    operator.post(URL, body(COUNT, description="How often people pay."))
    promote(operator, 1)
    operator.post(URL, body(MEAN))

    listed = operator.get(URL).json()["results"][0]
    told = operator.get(f"{URL}/activity").json()

    assert (listed["newest_version"], listed["promoted_version"]) == (2, 1)
    assert (listed["stream"], listed["entity"]) == ("payments", "customer")
    assert listed["description"] == "How often people pay."
    assert [row["version"] for row in told["versions"]] == [2, 1]


def test_the_list_costs_as_many_questions_for_many_views_as_for_few(
    scientist, stream, django_assert_max_num_queries
):
    for _ in range(5):
        factories.make_view(stream=stream)

    with django_assert_max_num_queries(6):
        assert len(scientist.get(URL).json()["results"]) == 5


def test_entities_are_named_once(scientist):
    given = {"name": "account", "description": "who holds the money"}

    assert scientist.post("/api/v1/entities", given).status_code == 201
    again = scientist.post("/api/v1/entities", given)

    assert again.status_code == 409
    assert "there is already an entity 'account'" in again.json()["detail"]
    assert scientist.get("/api/v1/entities").json()["results"][0]["name"] == "account"


@pytest.mark.django_db(transaction=True)
def test_of_versions_that_are_promoted_at_once_one_is_promoted():
    actor = factories.make_user(roles.OPERATOR)
    stream, entity = factories.make_stream(owner=actor), factories.make_entity()

    def define(i):
        feature = {**COUNT, "window": f"{i + 1}d"}
        version = views.define_view(
            actor=actor, name="activity", stream=stream, entity=entity,
            definition={"features": [feature]},
        )  # fmt: skip
        views.promote(version=version, actor=actor, reason="x")
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(define, range(6)))

    rows = FeatureViewVersion.objects.all()
    assert sorted(row.number for row in rows) == [1, 2, 3, 4, 5, 6]
    promoted = [row for row in rows if row.status == VersionStatus.PROMOTED]
    assert len(promoted) == 1
    assert [row for row in rows if row.online != OnlineState.OFF] == promoted
