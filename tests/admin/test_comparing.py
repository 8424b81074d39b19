"""Versions side by side in the admin."""

import pytest
from django.contrib.auth.models import User

from aegisml.base.auth import roles
from models_app.models import ModelVersion
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db
LIST = pages.changelist("models_app_modelversion")
PAGE = "/admin/models_app/modelversion/compare/"


@pytest.fixture
def versions():
    """Two versions that differ in everything that a comparison shows."""
    model = factories.make_model("fraud")
    first, second = (factories.trained_version(model) for _ in range(2))
    second.metrics["test"] |= {
        "auroc": 0.99, "intervals": {"auroc": [0.98, 0.995]}, "recall": 1.0,
    }  # fmt: skip
    first.metrics["test"] |= {
        "auroc": 0.8, "intervals": {"auroc": [0.7, 0.9]}, "recall": 1.0,
    }  # fmt: skip
    second.parameters["max_depth"] = 9
    second.signature["features"] = second.signature["features"][:1]
    for version in (first, second):
        version.save()
    return first, second


def chosen(client, versions):
    rows = [str(version.pk) for version in versions]
    return client.post(LIST, {"action": "compare", "_selected_action": rows})


def test_versions_chosen_in_the_list_are_compared(log_in, versions):
    client = log_in(roles.VIEWER)

    answer = chosen(client, versions)

    assert (answer.status_code, answer["Location"]) == (
        302,
        f"{PAGE}?versions=fraud%401%2Cfraud%402",
    )
    assert client.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("count", [1, 7])
def test_two_to_six_are_compared(log_in, versions, count):
    rows = list(versions[:1])
    if count > 1:
        for number in range(3, 8):
            rows.append(copy_of(versions[0], number))
        rows.append(versions[1])

    html = log_in(roles.VIEWER).post(
        LIST,
        {"action": "compare", "_selected_action": [str(row.pk) for row in rows]},
        follow=True,
    ).content.decode()  # fmt: skip

    assert "Choose 2 to 6 versions to compare." in html


def copy_of(version, number):
    values = {
        field.name: getattr(version, field.name)
        for field in ModelVersion._meta.concrete_fields
        if field.name != "id"
    }
    return ModelVersion.objects.create(**{**values, "number": number, "training_job": str(number)})


def test_the_page_marks_the_best_and_what_differs(log_in, versions):
    html = log_in(roles.VIEWER).get(f"{PAGE}?versions=fraud@1,fraud@2").content.decode()

    assert '0.9900 <span class="ag-mark">best</span>' in html
    assert '0.8000 <span class="ag-mark">apart</span>' in html
    assert '<tr class="ag-differs"><th scope="row"><code>max_depth</code></th>' in html
    assert '<tr class="ag-differs"><th scope="row"><code>location</code></th>' in html
    assert "the same held-out rows" in html
    assert html.count('class="ag-plot-line ag-series-1"') >= 2


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("fraud@1", "must name 2 to 6 versions"),
        ("fraud@1,fraud@1", "names a version twice"),
        ("fraud@1,fraud@99", "There is no version"),
        ("1,2", "must be like fraud@3"),
        ("<script>,x@1", "&lt;script&gt;"),
    ],
)
def test_a_wrong_question_is_told(log_in, versions, asked, told):
    answer = log_in(roles.VIEWER).get(PAGE, {"versions": asked})

    assert answer.status_code == 400
    assert told in answer.content.decode()


def test_without_a_question_the_page_says_how_to_choose(log_in):
    assert "Choose two to six versions" in log_in(roles.VIEWER).get(PAGE).content.decode()


def test_a_version_s_page_leads_to_the_comparison(log_in, versions):
    html = log_in(roles.VIEWER).get(pages.change(versions[1])).content.decode()

    assert f'href="{PAGE}?versions=fraud%401%2Cfraud%402">Compare with v1</a>' in html


def test_staff_without_a_role_compare_nothing(log_in, versions):
    client = log_in(User.objects.create_user("plain", is_staff=True))

    assert client.get(PAGE).status_code == 403
