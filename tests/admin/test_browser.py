"""The way of an operator through the admin, in a real browser."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from aegisml.base.auth import roles
from inference import jobs as shipping
from inference.fleet import fleet
from tests import factories
from training import jobs
from training.models import TrainingJob

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SCREENSHOTS = Path(__file__).parents[2] / "var" / "test" / "screenshots"
PATIENCE = 30_000  # milliseconds
SIZES = {"light": (1440, 900), "dark": (1440, 900), "narrow": (400, 800)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing = f"no browser on the PATH ({', '.join(PROGRAMS)})"
        if os.environ.get("AEGIS_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    # its event loop runs in this thread, where Django would refuse to touch the database
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            yield playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """A page, and what went wrong on it."""

    def __init__(self, browser: Browser, server: str, look: str) -> None:
        width, height = SIZES[look]
        context = browser.new_context(
            base_url=server,
            viewport={"width": width, "height": height},
            color_scheme="dark" if look == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE)
        self.look = look
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("response", self._answered)

    def _heard(self, message) -> None:
        if message.type == "error":
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.url}")

    def log_in(self, user) -> None:
        self.page.goto("/admin/")
        self.page.fill("#id_username", user.username)
        self.page.fill("#id_password", factories.PASSWORD)
        self.page.click("button[type=submit]")
        expect(self.page.get_by_text("Predictions, last 24 hours")).to_be_visible()

    def keep(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{self.look}-{name}.png", full_page=True)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return wide


@pytest.fixture
def operator():
    fleet.clear()
    yield factories.make_user(roles.OPERATOR, username="olivia")
    fleet.clear()


def in_thread(job: TrainingJob) -> threading.Thread:
    """A worker: trains the job beside the page that watches it."""

    def work() -> None:
        try:
            jobs.train(str(job.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def send_payment(model: str) -> str:
    """A prediction through the API; gives its id."""
    client = Client()
    service = factories.make_user(roles.SERVICE)
    login = {"username": service.username, "password": factories.PASSWORD}
    token = client.post("/api/v1/auth/token", login, content_type="application/json").json()
    answer = client.post(
        f"/api/v1/models/{model}/predict",
        {"features": factories.payment(amount=900.0, location="foreign")},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token['access']}"},
    )
    assert answer.status_code == 200, answer.content
    return answer.json()["prediction_id"]


def register(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Register a model").click()
    page.fill("#id_name", "card_fraud")
    page.fill("#id_parameters", '{"n_estimators": 400, "max_depth": 99}')
    page.click("button[name=_continue]")
    expect(page.get_by_text("max_depth: must be between 1 and 16")).to_be_visible()
    visit.keep("2-wrong-parameter")
    page.fill("#id_parameters", '{"n_estimators": 400, "max_depth": 3}')
    page.click("button[name=_continue]")


def train(visit: Visit) -> None:
    page = visit.page
    page.locator("a[href$='/train/']").click()
    page.select_option("#id_dataset_path", factories.DATASET)
    visit.keep("3-train")
    page.get_by_role("button", name="Start the training").click()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    worker = in_thread(TrainingJob.objects.get())
    expect(page.get_by_role("link", name="Run again")).to_be_visible(timeout=PATIENCE)
    worker.join()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(page.locator("polyline").first).to_be_visible()
    visit.keep("4-trained")


def deploy(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="card_fraud v1").click()
    visit.keep("5-version")
    page.locator("a[href$='/deploy/']").click()
    page.fill("#id_reason", "good evidence")
    visit.keep("6-deploy")
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_text("card_fraud v1 is deployed.")).to_be_visible()
    visit.keep("7-deployed")


def test_from_a_new_model_to_its_first_prediction(browser, live_server, operator, own_folders):
    factories.write_dataset()
    visit = Visit(browser, live_server.url, "light")
    visit.log_in(operator)
    visit.keep("1-empty-dashboard")
    register(visit)
    train(visit)
    deploy(visit)

    prediction = send_payment("card_fraud")
    shipping.ship(own_folders / "journal")
    visit.page.get_by_role("link", name="Predictions").first.click()
    expect(visit.page.get_by_text(prediction[-12:])).to_be_visible()
    visit.keep("8-predictions")
    visit.page.goto(f"/admin/inference/prediction/{prediction}/change/")
    expect(visit.page.get_by_text("900.0")).to_be_visible()
    visit.keep("9-prediction")

    assert visit.wrong == []


def test_a_model_is_stopped_and_retired_through_dialogs(browser, live_server, operator):
    version = factories.trained_version()
    visit = Visit(browser, live_server.url, "light")
    page = visit.page
    visit.log_in(operator)
    page.goto(f"/admin/inference/deployment/add/?model={version.model_id}")
    page.fill("#id_reason", "start")
    page.get_by_role("button", name="Deploy").click()

    page.get_by_role("link", name="Undeploy").click()
    page.locator("#dialog").get_by_role("button", name="Undeploy").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()
    page.locator("#dialog #id_reason").fill("false alarms")
    visit.keep("dialog")
    page.locator("#dialog").get_by_role("button", name="Undeploy").click()
    expect(page.get_by_text("isn't served any more.")).to_be_visible()

    page.goto(f"/admin/models_app/registeredmodel/{version.model_id}/change/")
    page.get_by_role("link", name="Retire").click()
    page.locator("#dialog #id_reason").fill("replaced")
    page.locator("#dialog").get_by_role("button", name="Retire").click()
    expect(page.get_by_text(f"{version.model.name} is retired.")).to_be_visible()

    version.model.refresh_from_db()
    assert version.model.is_retired
    assert visit.wrong == []


@pytest.mark.parametrize("look", SIZES)
def test_every_page_is_tidy(browser, live_server, operator, look):
    version = factories.trained_version()
    operator.is_superuser = True
    operator.save()
    addresses = {
        "dashboard": "/admin/",
        "models": "/admin/models_app/registeredmodel/",
        "model": f"/admin/models_app/registeredmodel/{version.model_id}/change/",
        "version": f"/admin/models_app/modelversion/{version.pk}/change/",
        "jobs": "/admin/training/trainingjob/",
        "job": f"/admin/training/trainingjob/{version.training_job}/change/",
        "train": "/admin/training/trainingjob/add/",
        "deploy": "/admin/inference/deployment/add/",
        "predictions": "/admin/inference/prediction/",
        "users": "/admin/auth/user/",
        "new-user": "/admin/auth/user/add/",
        "roles": "/admin/auth/group/",
        "sessions": "/admin/base/apisession/",
        "schedules": "/admin/django_celery_beat/periodictask/",
        "history": "/admin/admin/logentry/",
    }
    visit = Visit(browser, live_server.url, look)
    visit.log_in(operator)

    overflowing = []
    for name, address in addresses.items():
        visit.page.goto(address)
        visit.page.wait_for_load_state("networkidle")
        visit.keep(name)
        if visit.overflow() > 0:
            overflowing.append(name)

    assert overflowing == []
    assert visit.wrong == []
