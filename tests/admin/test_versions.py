"""A version's page: the evidence that people read before they deploy it."""

import pytest

from aegisml.base.auth import roles
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db


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
