"""A version's page: the evidence that people read before they deploy it."""

import pytest

from aegisml.base.auth import roles
from inference import services
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db

SPENT = [
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "spent_1d", "aggregate": "sum", "of": "amount", "window": "1d"},
]


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
