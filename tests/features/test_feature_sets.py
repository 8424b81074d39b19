"""Feature sets: what a model takes, pinned by version, and kept while something uses it."""

import pytest

from aegisml.base.auth import roles
from features.choices import OnlineState
from features.models import FeatureSet, HistoricalJob
from features.services import views
from tests import factories

URL = "/api/v1/feature-sets"
FEATURES = [
    {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"},
    {"name": "amount_to_mean", "expression": "ratio(amount, mean_7d)"},
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return factories.api_client(roles.DATA_SCIENTIST)


@pytest.fixture
def stream():
    return factories.make_stream("payments")


def body(*members, **changes):
    return {"name": "cards", "members": list(members), **changes}


def errors(answer):
    assert answer.status_code == 400, answer.json()
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_set_pins_all_features_of_the_promoted_version(client, stream):
    factories.make_view("activity", stream=stream, features=FEATURES)

    answer = client.post(URL, body({"view": "activity"}))

    told = answer.json()
    assert answer.status_code == 201
    assert answer["Location"].endswith("/api/v1/feature-sets/cards@v1")
    assert (told["name"], told["version"], told["stream"]) == ("cards", 1, "payments")
    pinned = {"view": "activity@v1", "features": ["mean_7d", "amount_to_mean"]}
    assert told["members"] == [pinned]


def test_a_set_keeps_its_version_when_another_is_promoted(client, stream):
    factories.make_view("activity", stream=stream, features=FEATURES)
    client.post(URL, body({"view": "activity"}))
    factories.make_view("activity", stream=stream, features=FEATURES[:1])

    assert client.get(f"{URL}/cards").json()["members"][0]["view"] == "activity@v1"


def test_a_set_may_take_a_transform_without_what_it_reads(client, stream):
    factories.make_view("activity", stream=stream, features=FEATURES)

    answer = client.post(URL, body({"view": "activity@v1", "features": ["amount_to_mean"]}))

    assert answer.json()["members"][0]["features"] == ["amount_to_mean"]


def test_pinning_a_staged_version_brings_it_online_and_discarding_the_set_takes_it_off(
    client, stream
):
    version = factories.make_view("activity", stream=stream, promote=False)

    client.post(URL, body({"view": "activity@v1"}))
    version.refresh_from_db()
    assert version.online == OnlineState.BUILDING

    assert client.delete(f"{URL}/cards@v1").status_code == 204
    version.refresh_from_db()
    assert version.online == OnlineState.OFF


def test_the_same_content_again_is_the_same_set_and_another_one_the_next(client, stream):
    factories.make_view("activity", stream=stream, features=FEATURES)

    first = client.post(URL, body({"view": "activity"}))
    same = client.post(URL, body({"view": "activity@v1", "features": None}))
    less = client.post(URL, body({"view": "activity", "features": ["mean_7d"]}))

    assert [answer.status_code for answer in (first, same, less)] == [201, 200, 201]
    assert [answer.json()["version"] for answer in (first, same, less)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("member", "place", "said"),
    [
        ({"view": "activity", "features": ["mean_8d"]}, "features", "has no feature 'mean_8d'"),
        ({"view": "activity", "features": []}, "features", "at least one"),
        ({"view": "activity@v9"}, "view", "No feature view version activity@v9."),
        ({"view": "nothing"}, "view", "nothing is unknown or has no promoted version"),
        ({"view": "activity@9"}, "view", "is not of the form name@v2"),
        ({"view": "activity", "version": 1}, "version", "unknown field"),
    ],
)
def test_a_wrong_member_is_named(client, stream, member, place, said):
    factories.make_view("activity", stream=stream, features=FEATURES)
    factories.make_view("events", stream=stream)

    answer = client.post(URL, body({"view": "events"}, member))

    assert said in errors(answer)[f"members.1.{place}"]
    assert not FeatureSet.objects.exists()


def test_a_features_name_is_there_once_in_a_set(client, stream):
    factories.make_view("activity", stream=stream)
    factories.make_view("more_activity", stream=stream)

    answer = client.post(URL, body({"view": "activity"}, {"view": "more_activity"}))

    said = errors(answer)["members.1.features"]
    assert said == "'payments_7d' is there already, from activity@v1"


def test_the_views_of_a_set_read_one_stream(client, stream):
    factories.make_view("activity", stream=stream)
    factories.make_view("visits", features=FEATURES, stream=factories.make_stream("visitors"))

    answer = client.post(URL, body({"view": "activity"}, {"view": "visits"}))

    assert "visits@v1 reads visitors" in errors(answer)["members.1.view"]


def test_a_set_without_members_is_refused(client):
    assert "members" in errors(client.post(URL, body()))


def test_a_discarded_number_is_not_given_again(client, stream):
    factories.make_view("activity", stream=stream, features=FEATURES)
    client.post(URL, body({"view": "activity"}))
    client.delete(f"{URL}/cards@v1")

    assert client.get(f"{URL}/cards").status_code == 404
    assert client.post(URL, body({"view": "activity"})).json()["version"] == 2


def test_discarding_needs_the_number(client, stream):
    factories.make_set(factories.make_view(stream=stream), name="cards")

    assert "cards@v1" in errors(client.delete(f"{URL}/cards"))["name"]
    assert FeatureSet.objects.exists()


def test_a_set_that_is_used_is_not_discarded_and_the_refusal_names_the_user(client, stream):
    pinned = factories.make_set(factories.make_view(stream=stream), name="cards")
    job = HistoricalJob.objects.create(
        feature_set=pinned, request={}, requested_by=pinned.created_by
    )

    answer = client.delete(f"{URL}/cards@v1")

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"cards@v1 is used by historical features {job}."


def test_sets_are_listed_with_what_they_pin_newest_first(
    client, stream, django_assert_max_num_queries
):
    version = factories.make_view("activity", stream=stream, features=FEATURES)
    for name in ("first", "second", "third"):
        factories.make_set(version, name=name)

    with django_assert_max_num_queries(6):
        told = client.get(URL).json()["results"]

    assert [row["name"] for row in told] == ["third", "second", "first"]
    assert told[0]["members"][0]["view"] == "activity@v1"


def test_lineage_leads_from_the_stream_to_the_set(client, stream):
    version = factories.make_view("activity", stream=stream)
    pinned = factories.make_set(version, name="cards")

    told = client.get(f"{URL}/cards/lineage").json()

    assert [(node["kind"], node["name"]) for node in told["nodes"]] == [
        ("stream", "payments"), ("feature view version", "activity@v1"),
        ("feature set", "cards@v1"),
    ]  # fmt: skip
    assert told["edges"] == [
        [f"stream:{stream.pk}", f"featureviewversion:{version.pk}"],
        [f"featureviewversion:{version.pk}", f"featureset:{pinned.pk}"],
    ]


def test_a_set_that_is_pinned_while_its_version_is_superseded_keeps_it_online(stream):
    first = factories.make_view("activity", stream=stream, features=FEATURES)
    factories.make_set(first)
    second = factories.make_view("activity", stream=stream, promote=False)

    views.promote(version=second, actor=second.created_by, reason="x")

    first.refresh_from_db()
    assert first.is_live
