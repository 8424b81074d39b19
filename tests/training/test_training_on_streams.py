"""A training on the events of a stream, with a feature set's features as they were known."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from features import offline
from features.models import FeatureSet, Stream
from models_app.models import RegisteredModel
from tests.factories import make_set, make_stream, make_view, write_dataset
from tests.features import history
from training import jobs
from training.models import TrainingJob

TRAIN = "/api/v1/models/fraud/train"
# there are five customers, and of each some fraud is known soon: no test row would be left
KEEP = {"known_entities": "keep", "overrides": {"known_entities": "five customers are all"}}
pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def stream(db: None) -> Stream:
    found = make_stream("payments")
    history.load(found, history.payments())
    return found


@pytest.fixture
def pinned(stream: Stream) -> FeatureSet:
    return make_set(make_view("spent", stream=stream, features=history.FEATURES), name="demo")


@pytest.fixture
def body(pinned: FeatureSet) -> dict[str, Any]:
    return {
        "stream": "payments", "feature_set": "demo@v1", "from": history.iso(0),
        "to": history.iso(75),
    }  # fmt: skip


@pytest.fixture
def run(client: APIClient, body: dict[str, Any]) -> Callable[..., TrainingJob]:
    def ask_and_work(parameters: Any = None, **changes: Any) -> TrainingJob:
        given = {**body, **changes, "parameters": {**KEEP, **(parameters or {})}}
        answer = client.post(TRAIN, given)
        assert answer.status_code == 202, answer.text
        jobs.train(answer.json()["id"])
        return TrainingJob.objects.get(pk=answer.json()["id"])

    return ask_and_work


def scratch(settings: Any) -> list[Path]:
    return list((Path(settings.FEATURE_ROOT) / "training").glob("*"))


def names_of(job: TrainingJob) -> list[str]:
    assert job.version is not None, job.error
    return [feature["name"] for feature in job.version.signature["features"]]


def test_the_version_takes_the_set_s_features_and_pins_the_set(
    run: Callable[..., TrainingJob], pinned: FeatureSet
) -> None:
    job = run()
    assert job.status == "succeeded", job.error
    assert names_of(job) == ["payments_7d", "spent_7d", "shop", "size"]
    assert job.version is not None
    assert job.version.feature_set == pinned


def test_the_lineage_says_which_events_as_they_were_known(
    run: Callable[..., TrainingJob], body: dict[str, Any]
) -> None:
    version = run().version
    assert version is not None
    dataset = version.lineage["dataset"]
    told = {name: dataset[name] for name in ("stream", "feature_set", "from", "to", "as_known")}
    assert told == {**body, "as_known": True}
    assert (dataset["rows"], dataset["label"], dataset["time"]) == (600, "label", "event_time")
    assert dataset["frauds"] > 20
    assert len(dataset["sha256"]) == 64
    assert "path" not in dataset


def test_the_log_and_the_card_tell_where_the_rows_are_from(
    run: Callable[..., TrainingJob],
) -> None:
    job = run()
    assert "Built 600 rows of demo@v1 from 2026-01-01 00:00 to 2026-03-17 00:00." in job.log
    assert job.version is not None
    card = (job.version.bundle_folder / "card.md").read_text()
    assert "Trained on feature set `demo@v1` of stream `payments`, events from 2026-01-01" in card


def test_the_gap_before_the_test_rows_is_the_stream_s_label_delay(
    run: Callable[..., TrainingJob], stream: Stream
) -> None:
    stream.label_delay_days = 3
    stream.save()
    assert "gap 3 days (the stream's label delay)" in run().log
    assert "gap 4 days (as requested)" in run(parameters={"label_delay_days": 4}).log


def test_a_gap_that_is_shorter_than_labels_take_needs_a_reason(
    run: Callable[..., TrainingJob], stream: Stream
) -> None:
    stream.label_delay_days = 3
    stream.save()
    job = run(parameters={"label_delay_days": 1})
    assert (job.status, [leak["kind"] for leak in job.leaks]) == ("leak_suspected", ["label_delay"])
    reasons = {"overrides": {**KEEP["overrides"], "label_delay": "paid by phone"}}  # type: ignore[dict-item]
    assert "overridden: paid by phone" in run(parameters={"label_delay_days": 1, **reasons}).log


def test_nothing_of_the_built_file_is_left(run: Callable[..., TrainingJob], settings: Any) -> None:
    run()
    assert scratch(settings) == []


def test_progress_counts_building_before_the_pipeline(
    run: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    write = TrainingJob.write

    def note(job: TrainingJob, **values: Any) -> bool:
        if "progress" in values:
            seen.append((values["step"], values["progress"]))
        return write(job, **values)

    monkeypatch.setattr(TrainingJob, "write", note)
    run()
    percents = [percent for _, percent in seen]
    assert percents == sorted(percents)
    assert ("build training set", 30) in seen
    assert seen[0] == ("build training set", 0)


def test_a_set_without_a_number_means_its_newest(
    run: Callable[..., TrainingJob], pinned: FeatureSet
) -> None:
    assert run(feature_set="demo").feature_set == pinned


def test_times_of_other_zones_are_the_same_moments(
    run: Callable[..., TrainingJob], body: dict[str, Any]
) -> None:
    job = run(**{"from": "2026-01-01T02:00:00+02:00"})
    assert job.since is not None
    assert job.since.isoformat() == body["from"]


def test_the_job_shows_its_source(client: APIClient, body: dict[str, Any]) -> None:
    job = client.post(TRAIN, {k: v for k, v in body.items() if k != "stream"}).json()
    shown = {name: job[name] for name in ("stream", "feature_set", "dataset_path")}
    assert shown == {"stream": "payments", "feature_set": "demo@v1", "dataset_path": ""}
    assert (job["from"], job["to"]) == ("2026-01-01T00:00:00Z", "2026-03-17T00:00:00Z")
    (listed,) = client.get("/api/v1/models/fraud/training-jobs").json()["results"]
    assert listed.items() <= job.items()


def test_a_job_that_is_run_again_keeps_its_source(
    client: APIClient, run: Callable[..., TrainingJob]
) -> None:
    job = run(parameters={"seed": 3})
    again = client.post(f"/api/v1/models/fraud/training-jobs/{job.pk}/retry").json()
    assert (again["feature_set"], again["parameters"]) == ("demo@v1", {**KEEP, "seed": 3})
    jobs.train(again["id"])
    assert TrainingJob.objects.get(pk=again["id"]).status == "succeeded"


# --- what can't be asked ---


def refused(client: APIClient, body: dict[str, Any]) -> list[str]:
    answer = client.post(TRAIN, body)
    assert answer.status_code == 400, answer.text
    assert not TrainingJob.objects.exists()
    return [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"feature_set": "nobody@v1"}, ["feature_set"]),
        ({"feature_set": "demo@v9"}, ["feature_set"]),
        ({"feature_set": "Demo v1"}, ["feature_set"]),
        ({"feature_set": None}, ["feature_set"]),
        ({"stream": "other"}, ["stream"]),
        ({"from": history.iso(75)}, ["to"]),
        ({"to": history.iso(-1)}, ["to"]),
        ({"from": "2026-01-01T00:00:00"}, ["from"]),
        ({"from": "2026-01-01"}, ["from"]),
        ({"to": "tomorrow"}, ["to"]),
        ({"to": 1767225600}, ["to"]),
        ({"from": None}, ["from"]),
        ({"from": "0001-01-01T00:00:00Z"}, ["from"]),
        ({"to": "9999-12-31T23:59:59-12:00"}, ["to"]),
        ({"parameters": {"label_column": "is_fraud"}}, ["parameters.label_column"]),
        ({"parameters": {"time_column": "t"}}, ["parameters.time_column"]),
        ({"parameters": {"exclude_columns": ["nothing"]}}, ["parameters.exclude_columns"]),
        ({"parameters": {"keep_columns": ["event_id"]}}, ["parameters.keep_columns"]),
        ({"parameters": {"max_depth": 99}}, ["parameters.max_depth"]),
    ],
)
def test_a_wrong_part_of_the_source_is_named(
    client: APIClient, body: dict[str, Any], changes: dict[str, Any], fields: list[str]
) -> None:
    assert refused(client, {**body, **changes}) == fields


@pytest.mark.parametrize("missing", ["feature_set", "from", "to"])
def test_a_missing_part_of_the_source_is_named(
    client: APIClient, body: dict[str, Any], missing: str
) -> None:
    assert refused(client, {k: v for k, v in body.items() if k != missing}) == [missing]


def test_a_file_and_a_set_together_are_refused(client: APIClient, body: dict[str, Any]) -> None:
    both = {**body, "dataset_path": write_dataset()}
    assert refused(client, both) == ["feature_set", "from", "stream", "to"]


def test_the_table_holds_no_job_without_a_source(pinned: FeatureSet) -> None:
    model = RegisteredModel.objects.get()
    row = {"model": model, "requested_by": model.owner}
    for source in ({}, {"feature_set": pinned}, {"feature_set": pinned, "dataset_path": "a.csv"}):
        with pytest.raises(IntegrityError, match="job_has_one_source"), transaction.atomic():
            TrainingJob.objects.create(**row, **source)


# --- what the data does ---


def test_a_stretch_without_events_is_told(run: Callable[..., TrainingJob], settings: Any) -> None:
    job = run(**{"from": history.iso(-20), "to": history.iso(-10)})
    assert (job.status, job.error_field) == ("failed", "from")
    assert job.error == "from: there is no event to train on"
    assert scratch(settings) == []


def test_a_trouble_with_the_rows_names_the_set_not_a_file(run: Callable[..., TrainingJob]) -> None:
    job = run(parameters={"exclude_columns": ["payments_7d", "spent_7d", "shop", "size"]})
    assert job.status == "failed"
    assert (job.error_field, job.error) == (
        "feature_set",
        "feature_set: no column is left to train on",
    )


def test_features_that_say_nothing_are_left_out_and_told(
    stream: Stream, run: Callable[..., TrainingJob]
) -> None:
    odd = [
        {"name": "always", "expression": "1 + 0 * amount"},
        {"name": "never", "expression": "amount / 0"},
        {"name": "steps", "sequence": ["amount"], "length": 3, "window": "30d"},
        {"name": "customer_id", "expression": "amount * 2"},
        {"name": "code", "expression": "terminal_id"},
    ]
    make_set(make_view("odd", stream=stream, features=odd), name="odd")
    known = {"overrides": {**KEEP["overrides"], "no_history": "odd on purpose"}}  # type: ignore[dict-item]
    job = run(feature_set="odd@v1", parameters=known)
    assert names_of(job) == ["customer_id"]
    for told in (
        "Left out always: has one value only.",
        "Left out never: has no value in any row.",
        "Left out steps: a sequence, which this algorithm doesn't take.",
        "Left out code: has one value only.",
    ):
        assert told in job.log
    kept = run(feature_set="odd@v1", parameters={**known, "keep_columns": ["always"]})
    assert names_of(kept) == ["always", "customer_id"]


def test_a_declared_category_may_look_like_numbers(run: Callable[..., TrainingJob]) -> None:
    coded = make_stream("coded")
    rows = history.payments()
    for i, row in enumerate(rows):
        row["merchant_category"] = "x" if i % 50 == 0 else str(i % 7)
    history.load(coded, rows)
    feature = {"name": "mcc", "expression": "merchant_category"}
    make_set(make_view("mcc", stream=coded, features=[feature]), name="mcc")
    assert names_of(run(feature_set="mcc@v1", stream="coded")) == ["mcc"]


def test_events_whose_label_may_still_come_are_left_out_and_told(
    run: Callable[..., TrainingJob],
) -> None:
    start = timezone.now() - timedelta(days=75)
    young = make_stream("young", label_delay_days=7)
    rows = history.payments(590, start=start)
    for row in rows[560:]:
        del row["is_fraud"]
    history.load(young, rows)
    make_set(make_view("few", stream=young, features=history.FEATURES), name="few")
    stretch = {"from": start.isoformat(), "to": timezone.now().isoformat()}
    job = run(feature_set="few@v1", stream="young", **stretch)
    assert "30 events without a label are younger than 7 days and were left out." in job.log
    assert job.version is not None
    assert job.version.lineage["dataset"]["rows"] == 560


# --- when something happens meanwhile ---


def test_a_cancelled_job_stops_building(
    client: APIClient, body: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = client.post(TRAIN, body).json()["id"]
    build = offline.training_set

    def cancel_in_the_middle(*args: Any, **kwargs: Any) -> Any:
        client.post(f"/api/v1/models/fraud/training-jobs/{job_id}/cancel")
        return build(*args, **kwargs)

    monkeypatch.setattr(offline, "training_set", cancel_in_the_middle)
    jobs.train(job_id)
    job = TrainingJob.objects.get(pk=job_id)
    assert (job.status, job.step) == ("cancelled", "build training set")
    assert scratch(settings) == []


def test_a_set_that_can_not_be_built_fails_the_job_and_says_so(
    client: APIClient, body: dict[str, Any], settings: Any
) -> None:
    job_id = client.post(TRAIN, body).json()["id"]
    Path(settings.FEATURE_ROOT).mkdir(parents=True, exist_ok=True)
    (Path(settings.FEATURE_ROOT) / "training").write_text("no folder can be made here")
    jobs.train(job_id)
    job = TrainingJob.objects.get(pk=job_id)
    assert (job.status, job.error_field) == ("failed", "feature_set")
    assert "the training set can't be built: " in job.error


def test_what_a_killed_worker_left_is_cleared_and_nothing_else(
    client: APIClient, body: dict[str, Any], settings: Any
) -> None:
    job = TrainingJob.objects.get(pk=client.post(TRAIN, body).json()["id"])
    job.claim(worker="first")
    root = Path(settings.FEATURE_ROOT) / "training"
    for name in (f"{job.pk}-{job.fence}", f"{job.pk}-7", f"{uuid.uuid4()}-1", "odd-one"):
        (root / name).mkdir(parents=True)
        (root / name / "set.parquet").write_bytes(b"x")
    assert jobs.clear_leftovers() == 3
    assert [path.name for path in root.iterdir()] == [f"{job.pk}-{job.fence}"]


def test_a_set_that_a_job_used_can_not_be_discarded(
    run: Callable[..., TrainingJob], client: APIClient
) -> None:
    run()
    answer = client.delete("/api/v1/feature-sets/demo@v1")
    assert answer.status_code == 409
    assert "training job fraud" in answer.json()["detail"]
