"""A study in a real browser: asked for by the form, watched at work, looked at from all sides."""

import threading

import pytest
from django.db import connection
from playwright.sync_api import expect

from tests import factories
from tests.admin import pages
from tests.admin.test_browser import (  # noqa: F401 - fixtures
    PATIENCE,
    SIZES,
    Visit,
    browser,
    operator,
)
from tests.training import studying
from training import searches
from training.models import Study

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SPACE = (
    '{"max_depth": {"low": 2, "high": 6}, "learning_rate": {"low": 0.02, "high": 0.5, "log": true}}'
)
TRIALS = 8


def in_thread(study: Study) -> threading.Thread:
    """A worker: searches beside the page that watches it."""

    def work() -> None:
        try:
            studying.search(study)
            studying.close(study)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_study_is_asked_for_watched_and_ends_with_a_version(browser, live_server, operator):  # noqa: F811
    factories.make_model("card_fraud", parameters={"n_estimators": 40})
    dataset = studying.dataset()
    visit = Visit(browser, live_server.url, "light")
    page = visit.page
    visit.log_in(operator)
    page.goto(pages.add("training_study"))
    page.select_option("#id_model", label="card_fraud")
    page.select_option("#id_dataset_path", dataset)
    page.fill("#id_trials_wanted", str(TRIALS))
    page.get_by_text("How", exact=True).click()
    page.fill("#id_space", SPACE)
    visit.keep("study-form")
    page.get_by_role("button", name="Start the study").click()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()

    worker = in_thread(Study.objects.get())
    expect(page.get_by_text("Optimization history").first).to_be_visible(timeout=PATIENCE)
    visit.keep("study-at-work")
    expect(page.get_by_role("link", name="card_fraud v1")).to_be_visible(timeout=3 * PATIENCE)
    worker.join()
    expect(page.get_by_role("progressbar").first).to_have_attribute("aria-valuenow", "100")
    visit.keep("study-done")

    mark = page.locator("a.ag-mark-link").first
    mark.focus()
    page.keyboard.press("Enter")
    assert "#trial-" in page.url
    assert visit.wrong == []


@pytest.mark.parametrize("look", SIZES)
def test_the_pages_of_studies_are_tidy(browser, live_server, operator, look):  # noqa: F811
    model = factories.make_model("card_fraud")
    study = studying.ask(
        model, is_automl=True, algorithms=("xgboost", "logistic_regression"), trials=12,
        space={
            "xgboost": {
                "n_estimators": {"low": 5, "high": 20},
                "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
                "subsample": {"low": 0.4, "high": 1.0},
                "max_depth": {"choices": [2, 4, 6]},
            }
        },
    )  # fmt: skip
    first = searches.begin(str(study.pk)).trials[0]
    searches.work(first)
    visit = Visit(browser, live_server.url, look)
    visit.log_in(operator)
    overflowing = []

    def look_at(name: str, address: str) -> None:
        visit.page.goto(address)
        visit.page.wait_for_load_state("networkidle")
        visit.keep(name)
        if visit.overflow() > 0:
            overflowing.append(name)

    look_at("study-begun", pages.change(study))
    studying.search(study)
    look_at("study-searched", pages.change(study))
    studying.close(study)
    look_at("study-automl", pages.change(study))
    look_at("studies", pages.changelist("training_study"))
    look_at("study-add", pages.add("training_study"))
    assert overflowing == []
    assert visit.wrong == []
