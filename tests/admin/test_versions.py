"""A version's page: the evidence that people read before they deploy it."""

import io

import pytest

from aegisml.base.auth import roles
from inference import services
from models_app.ml.exchange.wishes import Wishes
from models_app.services import importing
from tests import factories
from tests.admin import pages
from tests.models_app import files

pytestmark = pytest.mark.django_db

SPENT = [
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "spent_1d", "aggregate": "sum", "of": "amount", "window": "1d"},
]


@pytest.fixture
def imported(patient_database):
    """An ONNX model from elsewhere."""
    content = io.BytesIO(files.logistic().SerializeToString())
    return importing.import_version(
        model=factories.make_model(),
        actor=factories.make_user(roles.DATA_SCIENTIST),
        incoming=importing.Incoming("risk.onnx", content, Wishes(files.COLUMNS)),
    )


def page_of(client, version):
    return client.get(pages.change(version)).content.decode()


def test_the_page_shows_metrics_lineage_and_files(log_in):
    version = factories.trained_version()

    html = page_of(log_in(roles.APPROVER), version)

    matrix = version.metrics["test"]["confusion_matrix"]
    assert f'<td class="ag-good">{matrix["tp"]}</td>' in html
    assert version.lineage["dataset"]["sha256"] in html
    assert version.bundle_digest in html
    assert "Hashes checked" in html
    assert "merchant_category" in html


def test_a_changed_file_is_shown_as_refused(log_in):
    version = factories.trained_version()
    (version.bundle_folder / "model.onnx").write_bytes(b"something else")

    html = page_of(log_in(roles.APPROVER), version)

    assert "model.onnx differs from its registered hash" in html
    assert "Hashes checked" not in html


def test_nobody_edits_a_version(log_in):
    version = factories.trained_version()

    assert log_in(roles.ADMIN).post(pages.change(version), {"number": 7}).status_code == 403


def test_the_page_leads_to_the_feature_set(log_in):
    pinned = factories.make_set(factories.make_view(features=SPENT), name="cards")
    version = factories.pinned_version(pinned)

    html = page_of(log_in(roles.VIEWER), version)

    assert f'href="{pages.change(pinned)}">cards@v1</a>' in html
    assert "callers bring the features" not in html


def test_the_page_tells_that_callers_bring_the_features(log_in):
    html = page_of(log_in(roles.VIEWER), factories.trained_version())

    assert "callers bring the features" in html


def test_the_lineage_page_leads_on_to_versions_and_deployments(log_in):
    view = factories.make_view(stream=factories.make_stream("payments"), features=SPENT)
    version = factories.pinned_version(factories.make_set(view))
    deployment = services.deploy(model=version.model, actor=version.created_by)

    html = log_in(roles.VIEWER).get("/admin/features/lineage/?stream=payments").content.decode()

    assert f'href="{pages.change(version)}"' in html
    assert f'href="{pages.change(deployment)}"' in html


def test_curves_are_drawn_with_a_title_and_words(log_in):
    html = page_of(log_in(roles.VIEWER), factories.trained_version())

    assert '<title id="roc-title">ROC curve</title>' in html
    assert '<desc id="roc-desc">recall by false-positive rate.' in html
    for title in ("Precision and recall", "Calibration", "Gain", "What moves its scores"):
        assert title in html


def test_metrics_stand_with_their_intervals(log_in):
    version = factories.trained_version()
    low, high = version.metrics["test"]["intervals"]["auroc"]

    assert f"{low:.4f} to {high:.4f}" in page_of(log_in(roles.VIEWER), version)


def test_the_card_is_shown_as_html_and_given_as_markdown(log_in):
    version = factories.trained_version()
    client = log_in(roles.VIEWER)

    answer = client.get(pages.action(version, "card"))

    assert f"<h3>{version.model.name}</h3>" in page_of(client, version)
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode().startswith(f"# {version.model.name}\n")


OLD = [
    {},
    {"test": None, "curves": None},
    {"test": {"auroc": 0.9}, "validation": {}},
    {"test": {"intervals": {"auroc": None}, "segments": [], "confusion_matrix": None}},
    {"curves": {"roc": [], "pr": [[0, None]], "learning": [{"round": 1, "validation_ap": 0.5}]}},
]


@pytest.mark.parametrize("metrics", OLD)
def test_a_version_of_before_is_still_shown(log_in, metrics):
    version = factories.trained_version()
    version.metrics = metrics
    version.lineage = {"job": version.training_job}
    version.save()
    client = log_in(roles.VIEWER)

    assert version.bundle_digest in page_of(client, version)
    assert client.get(pages.changelist("models_app_modelversion")).status_code == 200
    assert client.get(pages.change(version.model)).status_code == 200


def test_an_imported_version_says_that_nobody_measured_it(log_in, imported):
    client = log_in(roles.OPERATOR)

    html = page_of(client, imported)

    assert "Nothing here measured it." in html
    assert "Nothing was measured." in html
    assert "trainingjob/import-" not in html
    assert (
        client.get(f"/admin/inference/deployment/add/?model={imported.model_id}").status_code == 200
    )


def test_a_bundle_is_taken_by_those_who_may_and_recorded(log_in):
    version = factories.trained_version()
    client = log_in(roles.DATA_SCIENTIST)

    answer = client.post(pages.action(version, "bundle"))

    assert answer["Content-Disposition"] == f'attachment; filename="{version.model.name}-v1.zip"'
    assert answer.getvalue()[:2] == b"PK"
    history = client.get(f"/admin/models_app/modelversion/{version.pk}/history/").content.decode()
    assert "Exported as a zip" in history


@pytest.mark.parametrize("role", [roles.VIEWER, roles.APPROVER])
def test_a_reader_takes_no_bundle(log_in, role):
    version = factories.trained_version()
    client = log_in(role)

    assert client.post(pages.action(version, "bundle")).status_code == 403
    assert "Download as zip" not in page_of(client, version)


def test_a_bundle_is_not_taken_by_a_link(log_in):
    assert (
        log_in(roles.OPERATOR).get(pages.action(factories.trained_version(), "bundle")).status_code
        == 405
    )


def test_a_changed_bundle_is_told_not_taken(log_in):
    version = factories.trained_version()
    (version.bundle_folder / "card.md").write_bytes(b"# other")
    client = log_in(roles.OPERATOR)

    html = client.post(pages.action(version, "bundle"), follow=True).content.decode()

    assert "card.md differs from its registered hash" in html
