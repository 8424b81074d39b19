"""Registering, changing and retiring models in the admin."""

import json

import pytest
from django.contrib.admin.models import LogEntry

from aegisml.base.auth import roles
from inference import services as serving
from models_app.models import RegisteredModel
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db

ADD = "models_app_registeredmodel"


def form(owner, **changes):
    return {
        "name": "card_fraud", "owner": owner.pk, "algorithm": "xgboost", "tier": "high",
        "description": "", "tags": "cards, eu", "parameters": json.dumps({"max_depth": 4}),
        **changes,
    }  # fmt: skip


def errors_of(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def scientist():
    return factories.make_user(roles.DATA_SCIENTIST)


def test_a_model_is_registered_in_the_name_of_who_did_it(log_in, scientist):
    answer = log_in(scientist).post(pages.add(ADD), form(scientist))

    model = RegisteredModel.objects.get(name="card_fraud")
    assert answer.status_code == 302
    assert (model.tags, model.parameters, model.tier) == (["cards", "eu"], {"max_depth": 4}, "high")
    entry = LogEntry.objects.get(object_id=str(model.pk))
    assert (entry.user, entry.change_message) == (scientist, "Registered model card_fraud.")


def test_the_form_offers_its_user_as_the_owner(log_in, scientist):
    answer = log_in(scientist).get(pages.add(ADD))

    assert answer.context["adminform"].form["owner"].value() == scientist.pk


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ('{"max_depth": 99}', "max_depth: must be between 1 and 16"),
        ('{"foo": 1}', "foo: unknown parameter of xgboost"),
        ('{"learning_rate": "fast"}', "learning_rate: must be a number"),
        ('{"n_estimators": 1' + "0" * 400 + "}", "n_estimators: must be between"),
        ('{"gamma": NaN}', "gamma: must be between"),
        ("[1, 2]", "This must be a JSON object"),
        ("{nope", "Enter a valid JSON"),
    ],
)
def test_bad_parameters_are_named_at_their_field(log_in, scientist, parameters, said):
    answer = log_in(scientist).post(pages.add(ADD), form(scientist, parameters=parameters))

    assert answer.status_code == 200
    assert said in errors_of(answer)["parameters"][0]
    assert not RegisteredModel.objects.exists()


def test_a_bad_name_is_said_at_the_name(log_in, scientist):
    answer = log_in(scientist).post(pages.add(ADD), form(scientist, name="Bad Name"))

    assert "must start with a small letter" in errors_of(answer)["name"][0]


def test_a_name_that_is_taken_is_said_at_the_name(log_in, scientist):
    factories.make_model("card_fraud", owner=scientist)

    answer = log_in(scientist).post(pages.add(ADD), form(scientist))

    assert "already exists" in errors_of(answer)["name"][0]


def test_a_change_is_recorded_once_with_its_fields(log_in, scientist):
    model = factories.make_model("card_fraud", owner=scientist)

    log_in(scientist).post(pages.change(model), form(scientist, description="for cards"))

    model.refresh_from_db()
    assert model.description == "for cards"
    said = LogEntry.objects.filter(object_id=str(model.pk)).first().change_message
    assert said == "Changed description, parameters, tags, tier."


def test_name_and_algorithm_of_a_trained_model_are_fixed(log_in, scientist):
    model = factories.trained_version().model

    log_in(scientist).post(pages.change(model), form(scientist, name="other_name"))

    model.refresh_from_db()
    assert model.name != "other_name"
    assert model.tier == "high"


def test_retiring_keeps_the_row_and_the_reason(log_in):
    model = factories.make_model()

    log_in(roles.OPERATOR).post(
        pages.action(model, "retire"), {"reason": "replaced", "_form_submitted": "on"}
    )

    model.refresh_from_db()
    assert model.is_retired
    assert LogEntry.objects.filter(change_message="Retired. replaced").exists()


def test_a_model_that_serves_is_not_retired(log_in):
    version = factories.trained_version()
    serving.deploy(model=version.model, actor=version.created_by)

    answer = log_in(roles.OPERATOR).post(
        pages.action(version.model, "retire"),
        {"reason": "replaced", "_form_submitted": "on"},
        follow=True,
    )

    version.model.refresh_from_db()
    assert not version.model.is_retired
    assert "Version 1 is deployed; undeploy the model before you retire it." in (
        str(message) for message in answer.context["messages"]
    )


def test_a_retired_model_can_only_be_looked_at(log_in, scientist):
    model = factories.make_model("card_fraud", owner=scientist)
    log_in(roles.OPERATOR).post(
        pages.action(model, "retire"), {"reason": "old", "_form_submitted": "on"}
    )

    answer = log_in(scientist).post(pages.change(model), form(scientist, description="new"))

    assert answer.status_code == 403


def test_the_buttons_lead_to_the_forms_of_the_apps_above(log_in):
    version = factories.trained_version()
    client = log_in(roles.OPERATOR)

    train = client.get(pages.action(version.model, "train"))
    deploy = client.get(pages.action(version, "deploy"))

    assert train["Location"] == f"/admin/training/trainingjob/add/?model={version.model_id}"
    assert deploy["Location"] == (
        f"/admin/inference/deployment/add/?model={version.model_id}&version={version.pk}"
    )


def test_what_people_write_is_shown_and_never_run(log_in, scientist):
    script = "<script>alert(1)</script>"
    model = factories.make_model("card_fraud", owner=scientist, description=script, tags=[script])
    client = log_in(roles.OPERATOR)
    client.post(pages.action(model, "retire"), {"reason": script, "_form_submitted": "on"})

    for url in (pages.change(model), pages.changelist("admin_logentry"), "/admin/"):
        html = client.get(url).content.decode()
        assert script not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
