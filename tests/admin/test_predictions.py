"""The prediction log in the admin."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from aegisml.base import ids
from aegisml.base.auth import roles
from inference.jobs import ensure_partition
from inference.models import Prediction
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db

LIST = "inference_prediction"
NOBODYS_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def predict(version, *, count=1, **changes):
    """Rows as the shipper would have put them."""
    at = changes.pop("created_at", datetime.now(tz=UTC))
    ensure_partition(at.date())
    row = {
        "arm": "champion", "features": factories.payment(), "score": 0.25, "threshold": 0.5,
        "decision": "approve", "latency_us": 150, "caller": "shop", "request_id": "r-1", **changes,
    }  # fmt: skip
    made = [
        Prediction(
            id=ids.time_ordered(), created_at=at, model=version.model, version=version, **row
        )
        for _ in range(count)
    ]
    return Prediction.objects.bulk_create(made)


def shown(answer):
    return list(answer.context["cl"].result_list)


@pytest.fixture
def version():
    return factories.trained_version()


@pytest.fixture
def viewer(log_in):
    return log_in(roles.VIEWER)


def test_the_list_asks_as_many_questions_for_many_rows_as_for_few(viewer, version):
    counts = []
    for more in (1, 40):
        predict(version, count=more)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            viewer.get(pages.changelist(LIST))
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_the_list_never_counts_the_log(viewer, version):
    predict(version, count=60)

    with CaptureQueriesContext(connection) as asked:
        viewer.get(f"{pages.changelist(LIST)}?_facets=True&p=2")

    about_log = [query["sql"] for query in asked if "inference_prediction" in query["sql"]]
    assert about_log
    assert not [sql for sql in about_log if "COUNT(" in sql.upper()]


def test_the_newest_predictions_come_first_and_the_rest_on_the_next_page(viewer, version):
    predict(version, count=50, created_at=datetime.now(tz=UTC) - timedelta(minutes=5))
    [newest] = predict(version)

    first = shown(viewer.get(pages.changelist(LIST)))
    second = shown(viewer.get(f"{pages.changelist(LIST)}?p=2"))

    assert first[0] == newest
    assert (len(first), len(second)) == (50, 1)


def test_a_page_too_deep_leads_back(viewer, version):
    assert viewer.get(f"{pages.changelist(LIST)}?p=9999999").status_code == 302


def test_predictions_are_filtered_by_decision_model_and_time(viewer, version):
    [blocked] = predict(version, decision="block")
    [other] = predict(factories.trained_version())
    [old] = predict(version, created_at=datetime.now(tz=UTC) - timedelta(days=20))

    def listed(**query):
        return shown(viewer.get(pages.changelist(LIST), query))

    assert listed(decision__exact="block") == [blocked]
    assert listed(model__id__exact=str(other.model_id)) == [other]
    assert old not in listed()
    assert old in listed(since="month")
    assert old in listed(since="ever")


def test_a_prediction_is_found_by_its_whole_id_in_one_partition(viewer, version):
    [wanted] = predict(version)
    predict(version)

    with CaptureQueriesContext(connection) as asked:
        answer = viewer.get(pages.changelist(LIST), {"q": str(wanted.pk)})

    assert shown(answer) == [wanted]
    for sql in (query["sql"] for query in asked if str(wanted.pk) in query["sql"]):
        assert "created_at" in sql.partition("WHERE")[2]


@pytest.mark.parametrize("text", ["abc", "%", "'; --", NOBODYS_ID])
def test_anything_but_an_id_finds_nothing(viewer, version, text):
    predict(version)

    assert shown(viewer.get(pages.changelist(LIST), {"q": text})) == []


def test_the_page_shows_features_score_and_thresholds(viewer, version):
    [prediction] = predict(version, score=0.75, decision="review")

    html = viewer.get(pages.change(prediction)).content.decode()

    assert "0.750000" in html
    assert "0.500000" in html
    assert "merchant_category" in html
    assert "r-1" in html


def test_the_page_of_a_raw_event_tells_where_each_feature_is_from(viewer, version):
    [prediction] = predict(
        version,
        features={"spent_7d": 120.5, "risk_30d": None, "amount": 42.5},
        context={
            "feature_set": "cards@v1", "stream": "payments", "event_id": "tx-1",
            "event_time": "2026-03-01T12:00:00+00:00", "event": {"amount": 42.5},
            "features": {
                "spent_7d": {"version": "spent@v2", "status": "PRESENT"},
                "risk_30d": {"version": "risk@v1", "status": "NOT_FOUND"},
            },
            "views": {
                "spent@v2": {
                    "as_of": "2026-03-01T11:58:30+00:00", "age_seconds": 90.0,
                    "approximate": {"events": 70_000, "distinct_error": 0.065},
                },
                "risk@v1": {"as_of": None, "age_seconds": None},
            },
        },
    )  # fmt: skip

    html = viewer.get(pages.change(prediction)).content.decode()

    rows = [" ".join(strip_tags(row).split()) for row in re.findall("<tr>.*?</tr>", html, re.S)]
    assert "spent_7d 120.5 spent@v2 PRESENT 2026-03-01 11:58:30 1 min 30 s" in rows
    assert "risk_30d missing risk@v1 NOT_FOUND - -" in rows
    assert "amount 42.5 of the event itself" in rows
    assert "spent@v2 was answered from sums of 70000 events" in html
    assert "cards@v1" in html
    assert "tx-1" in html


def test_hostile_feature_text_is_shown_and_never_run(viewer, version):
    script = "<script>alert(1)</script>"
    [prediction] = predict(version, features={script: script}, caller=script)

    html = viewer.get(pages.change(prediction)).content.decode()

    assert script not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def test_the_page_outlives_the_versions_files(viewer, version):
    [prediction] = predict(version)
    (version.bundle_folder / "policy.json").unlink()

    assert viewer.get(pages.change(prediction)).status_code == 200


def test_an_id_that_is_none_leads_back(viewer):
    assert viewer.get("/admin/inference/prediction/nonsense/change/").status_code == 302


def test_nobody_adds_or_changes_predictions(log_in, version):
    [prediction] = predict(version)
    client = log_in(roles.ADMIN)

    assert client.get("/admin/inference/prediction/add/").status_code == 403
    assert client.post(pages.change(prediction), {"score": 1}).status_code == 403
