"""Streams, views, versions and sets in the admin: forms, buttons, preview, lineage."""

import json

import pytest
from django.contrib.admin.models import LogEntry

from aegisml.base.auth import roles
from features.choices import VersionStatus
from features.models import Entity, FeatureSet, FeatureView, FeatureViewVersion, Stream
from features.services import events
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db

COUNT = {"name": "payments_7d", "aggregate": "count", "window": "7d"}
CONFIRMED = {"reason": "measured", "_form_submitted": "on"}


@pytest.fixture
def scientist(log_in):
    return log_in(roles.DATA_SCIENTIST)


@pytest.fixture
def operator(log_in):
    return log_in(roles.OPERATOR)


def errors_of(answer):
    return answer.context["adminform"].form.errors


def stream_form(**changes):
    return {
        "name": "payments", "description": "", "policy": "strict", "label_delay_days": "7",
        "definition": json.dumps(factories.PAYMENTS), **changes,
    }  # fmt: skip


def view_form(*features, **changes):
    return {
        "name": "activity", "description": "", "note": "",
        "definition": json.dumps({"features": list(features or (COUNT,))}), **changes,
    }  # fmt: skip


# --- streams ---


def test_the_form_of_a_stream_begins_with_an_example_that_works(scientist):
    form = scientist.get(pages.add("features_stream")).context["adminform"].form

    scientist.post(pages.add("features_stream"), stream_form(definition=form["definition"].value()))

    assert Stream.objects.get().schema.entities == {"customer": "customer_id"}


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("{nope", "Enter a valid JSON"),
        ("[]", "This must be a JSON object"),
        ("[" * 5000, "nested too deep"),
        ('{"future_seconds": ' + "9" * 5000 + "}", "a number too long"),
        ('{"fields": []}', "fields: must be a list of 1 to 200 fields"),
        (json.dumps({**factories.PAYMENTS, "label": "x"}), "label: must name one of the fields"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_at_its_field(scientist, definition, said):
    answer = scientist.post(pages.add("features_stream"), stream_form(definition=definition))

    assert any(said in text for text in errors_of(answer)["definition"])
    assert not Stream.objects.exists()


def test_a_streams_page_shows_its_fields_and_how_to_send_events(log_in):
    stream = factories.make_stream("payments")

    html = log_in(roles.VIEWER).get(pages.change(stream)).content.decode()

    assert "key of customer" in html
    assert "/api/v1/events/payments" in html
    assert "<textarea" not in html


def test_a_streams_page_shows_what_came_and_what_was_refused(log_in):
    stream = factories.make_stream("payments")
    rows = [factories.raw_event(transaction_id="tx-good"), factories.raw_event(amount=-1)]
    events.ingest(stream=stream, rows=rows, actor=stream.created_by, source="api")
    client = log_in(roles.VIEWER)

    html = client.get(pages.change(stream)).content.decode()
    listed = client.get(pages.changelist("features_stream")).content.decode()

    assert "tx-good" in html
    assert "2026-03-01 12:00:00" in html
    assert 'aria-valuenow="50.0"' in html
    quarantine = f"{pages.changelist('features_quarantinedrow')}?stream__id__exact={stream.pk}"
    assert quarantine in html
    assert f'href="{quarantine}">1</a>' in listed
    assert "amount: " in client.get(quarantine).content.decode()


def test_a_change_that_a_stream_refuses_is_said_in_the_form(scientist):
    stream = factories.make_stream("payments")
    less = {**factories.PAYMENTS, "fields": factories.PAYMENTS["fields"][:-2], "label": None}

    answer = scientist.post(pages.change(stream), stream_form(definition=json.dumps(less)))

    assert "label: can't change once the stream is there." in errors_of(answer)["__all__"][0]
    stream.refresh_from_db()
    assert stream.definition["label"] == "is_fraud"


def test_a_changed_stream_keeps_its_name(scientist):
    stream = factories.make_stream("payments")

    scientist.post(pages.change(stream), stream_form(name="other", policy="warn"))

    stream.refresh_from_db()
    assert (stream.name, stream.policy) == ("payments", "warn")


# --- entities ---


def test_an_entity_is_added_and_described(scientist):
    scientist.post(pages.add("features_entity"), {"name": "account", "description": ""})
    entity = Entity.objects.get()
    scientist.post(pages.change(entity), {"name": "other", "description": "holds money"})

    entity.refresh_from_db()
    assert (entity.name, entity.description) == ("account", "holds money")


# --- views ---


def test_the_form_defines_a_view_and_shows_its_first_version(scientist):
    stream, entity = factories.make_stream(), factories.make_entity()

    answer = scientist.post(
        pages.add("features_featureview"), view_form(stream=stream.pk, entity=entity.pk)
    )

    version = FeatureViewVersion.objects.get()
    assert answer["Location"] == pages.change(version)
    assert (str(version), version.status) == ("activity@v1", VersionStatus.STAGED)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({**COUNT, "window": "0d"}, "features.1.window: must be longer than zero"),
        ({**COUNT, "where": "amount >"}, "features.1.where: "),
        ({**COUNT, "aggregate": "sum", "of": "amont"}, "features.1.of: "),
    ],
)
def test_what_is_wrong_with_a_definition_is_said_at_its_field(scientist, feature, said):
    stream, entity = factories.make_stream(), factories.make_entity()
    wrong = view_form({**COUNT, "name": "fine"}, feature, stream=stream.pk, entity=entity.pk)

    answer = scientist.post(pages.add("features_featureview"), wrong)

    assert answer.status_code == 200
    assert said in errors_of(answer)["definition"][0]
    assert not FeatureView.objects.exists()


def test_the_page_of_a_view_defines_its_next_version(scientist):
    view = factories.make_view("activity").view
    form = scientist.get(pages.change(view)).context["adminform"].form
    shown = json.loads(form["definition"].value())
    shown["features"].append({**COUNT, "name": "payments_30d", "window": "30d"})

    answer = scientist.post(
        pages.change(view),
        {"description": "", "note": "longer", "definition": json.dumps(shown)},
        follow=True,
    )

    assert "activity@v2 is staged." in answer.content.decode()
    newest = view.versions.first()
    assert newest.compiled.names == ("payments_7d", "payments_30d")


def test_an_unchanged_definition_makes_no_version(scientist):
    view = factories.make_view("activity").view
    form = scientist.get(pages.change(view)).context["adminform"].form
    same = {"description": "", "note": "", "definition": form["definition"].value()}

    answer = scientist.post(pages.change(view), same, follow=True)

    assert "activity@v1 has this definition already." in answer.content.decode()
    assert view.versions.count() == 1


def test_a_viewer_sees_what_a_view_computes_and_no_form(log_in):
    version = factories.make_view("activity")
    client = log_in(roles.VIEWER)

    html = client.get(pages.change(version.view)).content.decode()

    assert "number of events" in html
    assert "Preview on real rows" not in html
    assert client.post(pages.change(version.view), view_form()).status_code == 403


# --- preview ---


def previewed(client, **given):
    url = "/admin/features/featureview/preview/"
    return client.post(url, {"definition": json.dumps({"features": [COUNT]}), **given})


def test_a_preview_of_an_empty_stream_says_so(scientist):
    stream, entity = factories.make_stream("payments"), factories.make_entity()

    answer = previewed(scientist, stream=stream.pk, entity=entity.pk)

    assert "Stream payments has no events yet." in answer.content.decode()
    assert not FeatureView.objects.exists()


def test_a_preview_of_a_view_uses_its_stream_and_entity(scientist):
    version = factories.make_view(stream=factories.make_stream("payments"))

    answer = previewed(scientist, view=version.view_id)

    assert "Stream payments has no events yet." in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"definition": "{nope"}, "Enter a valid JSON"),
        ({"definition": json.dumps({"features": [{**COUNT, "window": "0d"}]})},
         "<code>definition.features.0.window</code>: must be longer than zero"),
        ({"stream": ""}, "<code>stream</code>: select one"),
        ({"stream": "x' OR 1=1"}, "<code>stream</code>: select one"),
    ],
)  # fmt: skip
def test_a_preview_names_what_is_wrong(scientist, given, said):
    stream, entity = factories.make_stream(), factories.make_entity()

    answer = previewed(scientist, **{"stream": stream.pk, "entity": entity.pk, **given})

    assert said in answer.content.decode()


def test_a_preview_needs_the_right_to_edit_and_a_post(log_in, scientist):
    stream = factories.make_stream()

    assert previewed(log_in(roles.VIEWER), stream=stream.pk).status_code == 403
    assert scientist.get("/admin/features/featureview/preview/").status_code == 404


# --- versions ---


def press(client, row, name):
    return client.post(pages.action(row, name), CONFIRMED, follow=True)


def test_promoting_asks_for_the_reason_and_keeps_it(operator):
    version = factories.make_view("activity", promote=False)

    answer = press(operator, version, "promote")

    version.refresh_from_db()
    assert version.status == VersionStatus.PROMOTED
    assert "activity@v1 is promoted." in answer.content.decode()
    assert LogEntry.objects.filter(change_message="Promoted. measured").exists()


def test_a_data_scientist_does_not_promote(scientist):
    version = factories.make_view(promote=False)

    assert press(scientist, version, "promote").status_code == 403
    html = scientist.get(pages.change(version)).content.decode()
    assert pages.action(version, "promote") not in html
    assert pages.action(version, "discard") in html


def test_discarding_a_version_leads_back_to_the_list(scientist):
    version = factories.make_view("activity", promote=False)

    answer = press(scientist, version, "discard")

    assert answer.redirect_chain[-1][0] == pages.changelist("features_featureviewversion")
    assert not FeatureView.objects.exists()


def test_a_pinned_version_stays_and_the_page_says_who_pins_it(scientist):
    version = factories.make_view("activity", promote=False)
    pinned = factories.make_set(version, name="cards")

    answer = press(scientist, version, "discard")

    html = answer.content.decode()
    assert "activity@v1 is pinned by feature set cards@v1." in html
    assert pages.change(pinned) in html


def test_a_promoted_version_has_no_buttons(operator):
    version = factories.make_view("activity")

    html = operator.get(pages.change(version)).content.decode()

    assert pages.action(version, "promote") not in html
    assert pages.action(version, "discard") not in html


# --- sets ---


def test_features_are_chosen_by_check_boxes(scientist):
    version = factories.make_view(
        "activity", features=[COUNT, {**COUNT, "name": "payments_1d", "window": "1d"}]
    )
    html = scientist.get(pages.add("features_featureset")).content.decode()
    assert "payments_1d: number of events, over 1d" in html

    answer = scientist.post(
        pages.add("features_featureset"),
        {"name": "cards", "description": "", "members": ["activity@v1/payments_1d"]},
    )

    made = FeatureSet.objects.get()
    assert answer["Location"] == pages.change(made)
    assert [(m.version, m.names) for m in made.members.all()] == [(version, ["payments_1d"])]


def test_what_a_set_refuses_is_said_at_its_features(scientist):
    stream = factories.make_stream()
    factories.make_view("activity", stream=stream)
    factories.make_view("again", stream=stream)

    answer = scientist.post(
        pages.add("features_featureset"),
        {"name": "cards", "description": "", "members": ["activity@v1/*", "again@v1/*"]},
    )

    assert "'payments_7d' is there already, from activity@v1" in errors_of(answer)["members"][0]
    assert not FeatureSet.objects.exists()


def test_a_sets_page_draws_its_lineage(log_in):
    version = factories.make_view("activity")
    pinned = factories.make_set(version, name="cards")

    html = log_in(roles.VIEWER).get(pages.change(pinned)).content.decode()

    assert f'href="{pages.change(version)}"' in html
    assert f'href="{pages.change(version.view.stream)}"' in html
    assert "payments_7d" in html


def test_discarding_a_set_keeps_the_reason(scientist):
    pinned = factories.make_set(name="cards")

    press(scientist, pinned, "discard")

    assert not FeatureSet.objects.exists()
    assert LogEntry.objects.filter(change_message="Discarded. measured").exists()


# --- lineage ---


def test_the_lineage_page_draws_what_depends_on_a_stream(log_in):
    stream = factories.make_stream("payments")
    factories.make_stream("visits")
    version = factories.make_view("activity", stream=stream)
    pinned = factories.make_set(version, name="cards")
    client = log_in(roles.VIEWER)

    html = client.get("/admin/features/lineage/?stream=payments").content.decode()

    for row in (stream, version, pinned):
        assert f'href="{pages.change(row)}"' in html
    assert '?stream=visits"' in html


def test_the_lineage_page_without_streams_leads_to_the_first(scientist):
    html = scientist.get("/admin/features/lineage/").content.decode()

    assert pages.add("features_stream") in html


def test_lineage_needs_the_right_to_see_sets(log_in):
    assert log_in(roles.SERVICE).get("/admin/features/lineage/").status_code == 403


# --- all of it ---


@pytest.mark.parametrize("page", ["stream", "entity", "featureview", "featureset"])
def test_a_viewer_adds_nothing(log_in, page):
    client = log_in(roles.VIEWER)

    assert client.get(pages.add(f"features_{page}")).status_code == 403
    assert client.post(pages.add(f"features_{page}"), {"name": "x"}).status_code == 403


def test_what_people_write_is_shown_and_never_run(scientist):
    script = "<script>alert(1)</script>"
    features = [{**COUNT, "where": f"merchant_category == '{script}'"}]
    stream = factories.make_stream(description=script)
    version = factories.make_view(stream=stream, features=features)
    pinned = factories.make_set(version)

    for row in (stream, version.view, version, pinned):
        html = scientist.get(pages.change(row)).content.decode()
        assert script not in html
