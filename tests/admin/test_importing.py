"""A file is brought into a model through its page."""

import io

import pytest

from aegisml.base.auth import roles
from models_app.models import ModelVersion
from tests import factories
from tests.admin import pages
from tests.models_app import files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("patient_database")]
SIGNATURE = '["amount", "age_days", "is_night"]'


@pytest.fixture
def model():
    return factories.make_model("fraud")


def send(client, model, content=None, **fields):
    file = io.BytesIO(content or files.logistic().SerializeToString())
    file.name = "risk.onnx"
    return client.post(pages.action(model, "import"), {"file": file, **fields}, follow=True)


def test_a_taken_file_leads_to_its_version(log_in, model):
    answer = send(log_in(roles.DATA_SCIENTIST), model, signature=SIGNATURE, threshold="0.2")

    version = ModelVersion.objects.get()
    assert answer.redirect_chain[-1][0] == pages.change(version)
    assert "fraud v1 was imported." in answer.content.decode()
    assert (version.algorithm, version.number) == ("external", 1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "the file doesn&#x27;t name its 3 columns"),
        ({"signature": "{"}, "is not valid JSON"),
        ({"signature": '["a"]'}, "fills 1 columns, and the model takes 3"),
        ({"signature": SIGNATURE, "threshold": "2"}, "less than or equal to 1"),
        ({"signature": SIGNATURE, "content": b"junk"}, "is not a whole ONNX model"),
    ],
)
def test_a_refusal_stands_at_its_field_and_nothing_is_kept(log_in, model, fields, told):
    answer = send(log_in(roles.DATA_SCIENTIST), model, **fields)

    assert told in answer.content.decode()
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize("role", [roles.VIEWER, roles.APPROVER])
def test_a_reader_brings_nothing(log_in, model, role):
    client = log_in(role)

    assert client.get(pages.action(model, "import")).status_code == 403
    assert send(client, model, signature=SIGNATURE).status_code == 403
    assert not ModelVersion.objects.exists()


def test_the_model_s_page_leads_to_the_form(log_in, model):
    answer = log_in(roles.OPERATOR).get(pages.action(model, "bring"), follow=True)

    assert "Import a version of fraud" in answer.content.decode()
