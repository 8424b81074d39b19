"""Making streams, and changing them without changing what their events mean."""

from copy import deepcopy
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from features.models import Stream
from tests.factories import PAYMENTS, api_client, make_stream, make_user

pytestmark = pytest.mark.django_db
STREAMS = "/api/v1/streams"
STREAM = f"{STREAMS}/payments"


@pytest.fixture
def client() -> APIClient:
    return api_client(make_user(roles.DATA_SCIENTIST, username="ada"))


def create(client: APIClient, **changes: Any) -> HttpResponse:
    return client.post(STREAMS, {"name": "payments", "definition": PAYMENTS, **changes})


def definition(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(PAYMENTS), **changes}


def with_field(name: str, **changes: Any) -> dict[str, Any]:
    """The definition with other rules for a field, or a new field."""
    fields = {field["name"]: field for field in deepcopy(PAYMENTS)["fields"]}
    fields[name] = {"name": name, **fields.get(name, {}), **changes}
    return definition(fields=list(fields.values()))


def test_a_stream_is_made_with_what_was_said(client: APIClient) -> None:
    said = {
        "name": "payments", "definition": PAYMENTS, "description": "Cards.", "policy": "warn",
        "label_delay_days": 14.5,
    }  # fmt: skip
    answer = client.post(STREAMS, said)
    assert answer.status_code == 201
    assert answer.json() | said == answer.json()
    assert answer.json()["created_by"] == "ada"
    assert client.get(answer["Location"]).json() == answer.json()
    assert "Added stream payments" in LogEntry.objects.latest("pk").change_message


def test_what_is_not_said_gets_defaults(client: APIClient) -> None:
    body = create(client).json()
    assert (body["policy"], body["label_delay_days"], body["description"]) == ("strict", 7, "")


def test_streams_are_listed_newest_first(client: APIClient) -> None:
    for name in ("payments", "visits", "logins"):
        make_stream(name)
    names = [stream["name"] for stream in client.get(STREAMS).json()["results"]]
    assert names == ["logins", "visits", "payments"]


def test_a_name_is_taken_once(client: APIClient) -> None:
    create(client)
    answer = create(client)
    assert answer.status_code == 409
    assert "'payments'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Payments"}, "name"),
        ({"name": "../etc"}, "name"),
        ({"name": "x"}, "name"),
        ({"policy": "lax"}, "policy"),
        ({"label_delay_days": -1}, "label_delay_days"),
        ({"label_delay_days": 1e300}, "label_delay_days"),
        ({"label_delay_days": "soon"}, "label_delay_days"),
        ({"description": "x" * 2001}, "description"),
        ({"color": "red"}, "color"),
        ({"definition": []}, "definition"),
        ({"definition": with_field("color", type="text", allowed=["x" * 300_000])}, "definition"),
        ({"definition": definition(event_id="nothing")}, "definition.event_id"),
        ({"definition": definition(entities={})}, "definition.entities"),
        ({"definition": definition(timezone="Mars/Olympus")}, "definition.timezone"),
        ({"definition": definition(color="red")}, "definition.color"),
        ({"definition": with_field("score", type="float")}, "definition.fields.7"),
    ],
)
def test_a_wrong_part_is_named(client: APIClient, changes: dict[str, Any], field: str) -> None:
    answer = create(client, **changes)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Stream.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "warn"},
        {"description": "Cards of Europe."},
        {"label_delay_days": 30.0},
        {"definition": with_field("color", type="text")},
        {"definition": with_field("amount", min=-10)},
        {"definition": with_field("amount", required=False)},
        {"definition": with_field("merchant_category", max_length=500)},
        {"definition": definition(future_seconds=0)},
        {"definition": definition(fields=PAYMENTS["fields"][::-1])},
    ],
)
def test_what_only_grows_can_change(client: APIClient, changes: dict[str, Any]) -> None:
    create(client)
    answer = client.patch(STREAM, changes)
    assert answer.status_code == 200, answer.text
    assert client.get(STREAM).json() | changes == client.get(STREAM).json()
    assert LogEntry.objects.latest("pk").change_message == f"Changed {next(iter(changes))}."


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (with_field("color", type="text", required=True), "fields.7.required"),
        (with_field("amount", type="integer"), "fields.4.type"),
        (with_field("amount", min=1), "fields.4.min"),
        (with_field("amount", max=100), "fields.4.max"),
        (with_field("merchant_category", required=True), "fields.5.required"),
        (with_field("merchant_category", allowed=["fuel"]), "fields.5.allowed"),
        (with_field("merchant_category", max_length=10), "fields.5.max_length"),
        (definition(fields=PAYMENTS["fields"][:-1], label=None), "definition.label"),
        (definition(fields=[f for f in PAYMENTS["fields"] if f["name"] != "merchant_category"]),
         "merchant_category can't be removed"),
        (definition(entities={"customer": "customer_id"}), "definition.entities"),
        (definition(timezone="Asia/Tokyo"), "definition.timezone"),
        (definition(event_id="customer_id"), "definition.event_id"),
    ],
)  # fmt: skip
def test_what_would_change_the_meaning_of_events_is_refused(
    client: APIClient, changed: dict[str, Any], words: str
) -> None:
    create(client)
    answer = client.patch(STREAM, {"definition": changed})
    assert answer.status_code == 409, answer.text
    assert words in answer.json()["detail"]
    assert Stream.objects.get().definition == PAYMENTS


def test_a_list_of_allowed_texts_can_become_longer_or_be_dropped(client: APIClient) -> None:
    create(client, definition=with_field("merchant_category", allowed=["fuel"]))
    for allowed in (["food", "fuel"], []):
        change = {"definition": with_field("merchant_category", allowed=allowed)}
        assert client.patch(STREAM, change).status_code == 200
    change = {"definition": with_field("merchant_category", allowed=["fuel"])}
    assert client.patch(STREAM, change).status_code == 409


@pytest.mark.parametrize("body", [{"name": "other"}, {"policy": "lax"}, {"definition": {}}])
def test_a_wrong_change_is_refused(client: APIClient, body: dict[str, Any]) -> None:
    create(client)
    assert client.patch(STREAM, body).status_code == 400


@pytest.mark.parametrize("path", ["", "/quality", "/quarantine"])
def test_a_stream_that_is_not_there_is_not_found(client: APIClient, path: str) -> None:
    assert client.get(f"{STREAMS}/unknown{path}").status_code == 404
