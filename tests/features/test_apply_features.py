"""A folder of YAML definitions, applied as often as one likes."""

from io import StringIO

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command

from features.choices import VersionStatus
from features.models import Entity, FeatureSet, FeatureView, FeatureViewVersion, Stream

EXAMPLE = settings.BASE_DIR / "config" / "features.example"

pytestmark = pytest.mark.django_db


def apply(folder, *flags):
    out = StringIO()
    call_command("apply_features", str(folder), *flags, stdout=out)
    return out.getvalue()


def refusal(folder, *flags):
    with pytest.raises(CommandError) as raised:
        apply(folder, *flags)
    return str(raised.value)


def definitions(**changes):
    stream = {
        "name": "payments",
        "definition": {
            "event_id": "id", "event_time": "at", "entities": {"customer": "who"},
            "fields": [
                {"name": "id", "type": "text"}, {"name": "at", "type": "time"},
                {"name": "who", "type": "text"}, {"name": "amount", "type": "number"},
            ],
        },
    }  # fmt: skip
    view = {
        "name": "activity", "stream": "payments", "entity": "customer",
        "definition": {"features": [{"name": "n", "aggregate": "count", "window": "7d"}]},
    }  # fmt: skip
    return {
        "streams": [stream], "entities": [{"name": "customer"}], "views": [view],
        "sets": [{"name": "cards", "members": [{"view": "activity@v1"}]}], **changes,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(definitions()))
    return tmp_path


def view_with(window, **changes):
    view = definitions()["views"][0]
    view["definition"]["features"][0]["window"] = window
    return {**view, **changes}


def rewrite(folder, **changes):
    (folder / "all.yaml").write_text(yaml.safe_dump(definitions(**changes)))


def test_the_example_makes_the_demos_definitions():
    told = apply(EXAMPLE, "--promote")

    assert Stream.objects.get().name == "transactions"
    assert set(Entity.objects.values_list("name", flat=True)) == {"customer", "terminal"}
    promoted = FeatureViewVersion.objects.filter(status=VersionStatus.PROMOTED)
    assert {str(version) for version in promoted} == {
        "transaction@v1", "customer_activity@v1", "terminal_risk@v1"
    }  # fmt: skip
    pinned = FeatureSet.objects.get(name="demo_fraud")
    assert sum(len(member.names) for member in pinned.members.all()) == 20
    assert "views     customer_activity              created, v1" in told


def test_applying_again_changes_nothing():
    apply(EXAMPLE, "--promote")

    told = apply(EXAMPLE, "--promote")

    assert "0 change(s)." in told
    assert FeatureViewVersion.objects.count() == 3
    assert FeatureSet.objects.count() == 1


def test_a_changed_definition_becomes_a_new_version_and_sets_stay(folder):
    apply(folder)
    rewrite(folder, views=[view_with("30d")])

    told = apply(folder)

    assert "new version v2" in told
    assert "1 change(s)." in told
    assert FeatureSet.objects.get().members.get().version.number == 1


def test_a_version_stays_staged_unless_it_is_promoted(folder):
    apply(folder)
    assert FeatureViewVersion.objects.get().status == VersionStatus.STAGED

    assert "promoted v1" in apply(folder, "--promote")
    assert FeatureViewVersion.objects.get().status == VersionStatus.PROMOTED


def test_a_set_without_a_number_pins_what_the_same_run_promotes(folder):
    rewrite(folder, sets=[{"name": "cards", "members": [{"view": "activity"}]}])

    assert "has no promoted version" in refusal(folder)
    apply(folder, "--promote")

    assert FeatureSet.objects.get().members.get().version.number == 1


def test_a_dry_run_tells_the_plan_and_changes_nothing(folder):
    told = apply(folder, "--dry-run", "--promote")

    assert "created, v1" in told
    assert "Nothing was changed: a dry run. 5 change(s) wait." in told
    assert not Stream.objects.exists()


def test_changes_of_streams_and_entities_are_applied(folder):
    apply(folder)
    stream = {**definitions()["streams"][0], "policy": "warn", "label_delay_days": 14}
    rewrite(folder, streams=[stream], entities=[{"name": "customer", "description": "pays"}])

    told = apply(folder)

    assert "changed: label_delay_days, policy" in told
    assert Stream.objects.get().policy == "warn"
    assert Entity.objects.get().description == "pays"


def test_every_problem_is_told_with_file_and_place_and_nothing_is_changed(folder):
    (folder / "deep").mkdir()
    more = {"views": [view_with("0d", name="broken"), view_with("7d", name="lost", stream="none")],
            "sets": [{"name": "bad", "members": [{"view": "activity@v1", "features": ["m"]}]}],
            "entities": [{"name": "x", "colour": "red"}]}  # fmt: skip
    (folder / "deep" / "more.yml").write_text(yaml.safe_dump(more))

    said = refusal(folder)

    assert "deep/more.yml: views.0.definition.features.0.window: must be longer than zero" in said
    assert "deep/more.yml: views.1.stream: there is no stream 'none'" in said
    assert "deep/more.yml: sets.0.members.0.features: activity@v1 has no feature 'm'" in said
    assert "deep/more.yml: entities.0.colour: unknown key" in said
    assert "Nothing was changed: 4 problem(s)." in said
    assert not Stream.objects.exists()
    assert not FeatureView.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("views: [", "bad.yaml: line 1: "),
        ("features: []", "unknown key 'features'"),
        ("views: {}", "views: must be a list"),
        ("- views", "must have the keys streams, entities, views, sets"),
        ("views: [activity]", "views.0: must have keys and values"),
        ("views: [{name: 7}]", "views.0.name: must be a text"),
        ("views: []\nviews: []", "line 2: 'views' is there twice"),
        ("entities: [{name: a, name: b}]", "line 1: 'name' is there twice"),
        ("entities: [{name: x, description: 2024-01-01}]", "2024-01-01 must be in quotes"),
        ("entities: [{1: x}]", "the key 1 must be in quotes"),
        ("views: [{definition: {default: .nan}}]", "must be a finite number"),
        ('entities: [{name: "a\\0b"}]', "holds a NUL character"),
        ("a: &a [x]\nviews: [{<<: {name: b}}]", "merging by << is not supported"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: &a [*a]", "nests them too deep"),
    ],
)
def test_a_file_that_is_wrong_is_named(folder, text, said):
    (folder / "bad.yaml").write_text(text)

    assert said in refusal(folder)
    assert not Stream.objects.exists()


def test_a_file_that_repeats_itself_beyond_all_bounds_is_refused(folder):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (folder / "bad.yaml").write_text("\n".join(lines))

    assert "holds more than 100,000 parts" in refusal(folder)


def test_a_file_that_is_too_long_is_refused(folder):
    (folder / "bad.yaml").write_text("# " + "x" * 1_000_000)

    assert "bad.yaml: is longer than 1,000,000 bytes" in refusal(folder)


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "bad.yaml").write_bytes(b"\xff\xfe\x00")

    assert "bad.yaml: is no YAML text in UTF-8" in refusal(folder)


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path):
    assert "is no folder" in refusal(tmp_path / "nowhere")
    assert "holds no .yaml or .yml file" in refusal(tmp_path)
