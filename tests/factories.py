"""Rows and files that tests start from. Everything real: a version is trained, not made up."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from aegisml.base import accounts
from aegisml.base.auth import roles, tokens
from features.models import Entity, FeatureSet, FeatureViewVersion, Stream
from features.services import sets, streams, views
from inference import journal
from models_app.models import ModelVersion, RegisteredModel
from models_app.services import registry
from training import jobs
from training.models import Study, TrainingJob
from training.services import jobs as training
from training.services import studies

PASSWORD = "correct horse battery staple"
DATASET = "payments.csv"
QUICK = {"n_estimators": 5, "max_depth": 3}
COUNTED = [{"name": "payments_7d", "aggregate": "count", "window": "7d"}]

_number = count(1)


@pytest.fixture
def own_folders(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Data, artifacts, features and journal of this test alone, below the folder that it gives."""
    settings.DATA_ROOT = tmp_path / "datasets"
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.JOURNAL_ROOT = tmp_path / "journal"
    settings.FEATURE_ROOT = tmp_path / "features"
    settings.CHECKPOINT_ROOT = tmp_path / "checkpoints"
    writer = journal.Journal(settings.JOURNAL_ROOT)
    monkeypatch.setattr(journal, "_writer", writer)  # a process keeps one, made at import
    yield tmp_path
    writer.close()


def make_user(role: str, *, username: str | None = None, staff: bool = True) -> User:
    """A person of `role` with `PASSWORD`, who may open the admin unless `staff` is False."""
    if not Group.objects.filter(name=role).exists():
        accounts.set_up_roles()
    user = User.objects.create_user(
        username=username or f"{role}-{next(_number)}", password=PASSWORD, is_staff=staff
    )
    user.groups.add(Group.objects.get(name=role))
    return user


def api_client(who: str | User) -> APIClient:
    """A client of the API, logged in as `who`: a user, or a new one of that role."""
    user = make_user(who, staff=False) if isinstance(who, str) else who
    pair = tokens.open_session(user=user, user_agent="tests")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    return client


def make_model(
    name: str | None = None, *, owner: User | None = None, **fields: Any
) -> RegisteredModel:
    """A registered model that trains in well under a second."""
    return registry.create_model(
        actor=owner or make_user(roles.DATA_SCIENTIST),
        name=name or f"fraud-{next(_number)}",
        **{"parameters": QUICK, **fields},
    )


def write_dataset(name: str = DATASET, rows: int = 600, *, seed: int = 1) -> str:
    """Write payments in the order of time below the data root; gives the relative path.

    A tenth is fraud, mostly the high amounts and the foreign online ones.
    """
    rng = random.Random(seed)
    path = Path(settings.DATA_ROOT) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "amount", "merchant_category", "location", "is_fraud"])
        for i in range(rows):
            fraud = rng.random() < 0.1
            amount = rng.lognormvariate(5.0 if fraud else 3.5, 0.8)
            category = rng.choice(["online", "travel"] if fraud else ["grocery", "fuel", "online"])
            place = "foreign" if rng.random() < (0.6 if fraud else 0.05) else "domestic"
            moment = start + timedelta(hours=3 * i)
            writer.writerow(
                [f"{moment:%Y-%m-%d %H:%M:%S}", f"{amount:.2f}", category, place, int(fraud)]
            )
    return name


def payment(**changes: Any) -> dict[str, Any]:
    """Features that a version trained on `write_dataset` takes."""
    return {"amount": 42.5, "merchant_category": "grocery", "location": "domestic", **changes}


def make_job(
    model: RegisteredModel | None = None, *, actor: User | None = None, **fields: Any
) -> TrainingJob:
    """A queued job; `fields` (status, progress, ...) are put on the row as they are."""
    model = model or make_model()
    job = training.request_run(
        model=model,
        actor=actor or model.owner,
        dataset_path=write_dataset(),
        terms=training.Terms(allow_duplicate=True),
    )
    if fields:
        TrainingJob.objects.filter(pk=job.pk).update(**fields)
        job.refresh_from_db()
    return job


def make_study(model: RegisteredModel | None = None, **plan: Any) -> Study:
    """A queued study; `plan` is how it searches."""
    model = model or make_model()
    return studies.request_study(
        model=model,
        actor=model.owner,
        source=studies.Source(dataset_path=write_dataset()),
        plan=studies.Plan(**{"trials": 3, **plan}),
    )


def trained_version(
    model: RegisteredModel | None = None, *, actor: User | None = None
) -> ModelVersion:
    """A version trained just now by the real pipeline, with its bundle on disk."""
    job = make_job(model, actor=actor)
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert job.version is not None, job.error
    return job.version


PAYMENTS = {
    "event_id": "transaction_id",
    "event_time": "timestamp",
    "label": "is_fraud",
    "entities": {"customer": "customer_id", "terminal": "terminal_id"},
    "fields": [
        {"name": "transaction_id", "type": "text", "required": True},
        {"name": "timestamp", "type": "time", "required": True},
        {"name": "customer_id", "type": "text", "required": True},
        {"name": "terminal_id", "type": "text", "required": True},
        {"name": "amount", "type": "number", "required": True, "min": 0},
        {"name": "merchant_category", "type": "text"},
        {"name": "is_fraud", "type": "boolean"},
    ],
}


def make_stream(name: str | None = None, *, owner: User | None = None, **changes: Any) -> Stream:
    """A stream of `PAYMENTS`. `changes` are the stream's fields (policy, ...) or parts of its
    definition (fields, timezone, ...)."""
    outside = ("definition", "description", "policy", "label_delay_days")
    given = {key: changes.pop(key) for key in outside if key in changes}
    return streams.create_stream(
        actor=owner or make_user(roles.DATA_SCIENTIST),
        name=name or f"payments_{next(_number)}",
        **{"definition": {**PAYMENTS, **changes}, **given},
    )


def raw_event(**changes: Any) -> dict[str, Any]:
    """An event of `make_stream` with an id of its own; a change to None leaves the field out."""
    event = {
        "transaction_id": f"tx-{next(_number)}",
        "timestamp": "2026-03-01T12:00:00Z",
        "customer_id": "c1",
        "terminal_id": "t1",
        "amount": 42.5,
        "merchant_category": "grocery",
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def make_entity(name: str = "customer") -> Entity:
    """The entity of this name, made when there is none."""
    return Entity.objects.filter(name=name).first() or views.create_entity(
        actor=make_user(roles.DATA_SCIENTIST), name=name
    )


def make_view(
    name: str | None = None,
    *,
    stream: Stream | None = None,
    entity: str | None = "customer",
    features: list[dict[str, Any]] | None = None,
    promote: bool = True,
    **definition: Any,
) -> FeatureViewVersion:
    """A view's version over `stream`, promoted unless told otherwise; by default it counts
    payments. `definition` holds ttl and where."""
    actor = make_user(roles.OPERATOR)
    version = views.define_view(
        actor=actor,
        name=name or f"view_{next(_number)}",
        stream=stream or make_stream(),
        entity=make_entity(entity) if entity else None,
        definition={"features": features or COUNTED, **definition},
    )
    return views.promote(version=version, actor=actor, reason="tests") if promote else version


def make_set(
    *versions: FeatureViewVersion, name: str | None = None, features: list[str] | None = None
) -> FeatureSet:
    """A set of all features of `versions`, or of these; by default of a new view."""
    pinned = versions or (make_view(),)
    return sets.create_set(
        actor=make_user(roles.DATA_SCIENTIST),
        name=name or f"set_{next(_number)}",
        members=[{"view": str(version), "features": features} for version in pinned],
    )


def pinned_version(
    feature_set: FeatureSet, model: RegisteredModel | None = None, *, kinds: tuple[str, ...] = ()
) -> ModelVersion:
    """A version that pins the set, trained on a file of its numeric and category features; a
    category takes `kinds`. Fraud has high numbers."""
    rng = random.Random(7)
    features = {
        feature.name: feature.kind
        for member in feature_set.members.select_related("version__view__stream")
        for feature in member.version.compiled.features
        if feature.name in member.names and feature.kind in ("numeric", "category")
    }
    path = Path(settings.DATA_ROOT) / f"pinned-{next(_number)}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*features, "is_fraud"])
        for _ in range(400):
            fraud = rng.random() < 0.2
            values = [
                rng.choice(kinds or ("grocery", "fuel")) if kind == "category"
                else f"{rng.lognormvariate(3.5 if fraud else 2, 1):.3f}"
                for kind in features.values()
            ]  # fmt: skip
            writer.writerow([*values, int(fraud)])
    job = training.request_run(
        model=model or make_model(),
        actor=make_user(roles.DATA_SCIENTIST),
        dataset_path=path.name,
    )
    jobs.train(str(job.pk))
    job.refresh_from_db()
    assert job.version is not None, job.error
    ModelVersion.objects.filter(pk=job.version.pk).update(feature_set=feature_set)
    job.version.refresh_from_db()
    return job.version
