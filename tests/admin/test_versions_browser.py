"""A version's page, and several side by side, in a real browser."""

import pytest
from playwright.sync_api import expect

from models_app.models import ModelVersion
from tests import factories
from tests.admin.test_browser import SIZES, Visit, browser, operator
from tests.models_app import files

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["browser", "operator"]  # fixtures

SEGMENTS = [
    {"column": "location", "value": value, "rows": 40, "frauds": 9, "auroc": 0.91,
     "average_precision": 0.72, "recall": 0.66}
    for value in ("domestic", "foreign")
]  # fmt: skip
TYPOLOGIES = [{"value": "stolen card", "frauds": 12, "recall": 0.83}]


@pytest.fixture
def versions() -> list[ModelVersion]:
    """Two of one model and one of another, with everything that a pipeline may measure."""
    model = factories.make_model("card_fraud")
    made = [factories.trained_version(model), factories.trained_version(model)]
    deeper = factories.make_model("deeper", parameters={"n_estimators": 30, "max_depth": 5})
    made.append(factories.trained_version(deeper))
    for version in made:
        version.metrics["test"] |= {"segments": SEGMENTS, "typologies": TYPOLOGIES}
        version.save(update_fields=["metrics"])
    return made


@pytest.mark.parametrize("look", SIZES)
def test_the_evidence_is_drawn_and_tidy(browser, live_server, operator, versions, look):
    visit = Visit(browser, live_server.url, look)
    visit.log_in(operator)
    page = visit.page

    page.goto(f"/admin/models_app/modelversion/{versions[2].pk}/change/")
    expect(page.get_by_role("img", name="ROC curve")).to_be_visible()
    expect(page.get_by_role("img", name="Precision and recall")).to_be_visible()
    expect(page.get_by_text("stolen card")).to_be_visible()
    visit.keep("version-evidence")
    assert visit.overflow() <= 0

    asked = ",".join(f"{v.model.name}@{v.number}" for v in versions)
    page.goto(f"/admin/models_app/modelversion/compare/?versions={asked}")
    expect(page.get_by_role("img", name="ROC curve")).to_be_visible()
    visit.keep("compare")
    assert visit.overflow() <= 0
    assert visit.wrong == []


def test_versions_are_chosen_from_the_list(browser, live_server, operator, versions):
    visit = Visit(browser, live_server.url, "light")
    visit.log_in(operator)
    page = visit.page

    page.goto("/admin/models_app/modelversion/")
    for version in versions[:2]:
        page.locator(f"input[name=_selected_action][value='{version.pk}']").check()
    page.select_option("select[name=action]", "compare")
    visit.keep("choose")
    page.get_by_role("button", name="Run").click()

    expect(page.get_by_role("heading", name="Metrics on held-out rows")).to_be_visible()
    expect(page.get_by_role("link", name="card_fraud v2")).to_be_visible()
    assert visit.wrong == []


def test_a_bundle_is_downloaded_from_its_page(browser, live_server, operator, versions):
    visit = Visit(browser, live_server.url, "light")
    visit.log_in(operator)
    visit.page.goto(f"/admin/models_app/modelversion/{versions[0].pk}/change/")

    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Download as zip").click()

    assert waiting.value.suggested_filename == "card_fraud-v1.zip"


@pytest.mark.parametrize("look", ["light", "narrow"])
def test_a_file_is_brought_in_through_a_form(browser, live_server, operator, look, tmp_path):
    model = factories.make_model("risk")
    (tmp_path / "risk.onnx").write_bytes(files.logistic().SerializeToString())
    visit = Visit(browser, live_server.url, look)
    visit.log_in(operator)
    page = visit.page
    page.goto(f"/admin/models_app/registeredmodel/{model.pk}/import/")
    page.set_input_files("#id_file", tmp_path / "risk.onnx")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("doesn't name its 3 columns")).to_be_visible(timeout=60_000)
    visit.keep("import-refused")
    assert visit.overflow() <= 0

    page.set_input_files("#id_file", tmp_path / "risk.onnx")
    page.fill("#id_signature", '["amount", "age_days", "is_night"]')
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("risk v1 was imported.")).to_be_visible(timeout=60_000)
    visit.keep("imported")
    assert visit.overflow() <= 0
    assert visit.wrong == []
