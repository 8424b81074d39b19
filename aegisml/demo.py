"""The first-run demo: `python -m aegisml.demo`.

Makes the data, defines features, fills the feature store, registers a model,
trains it through the real worker and deploys it. What is there already is left
alone, so that it can run at every start.
"""

import io
import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegisml.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.models import Max, Min  # noqa: E402

from aegisml.base import audit  # noqa: E402
from features.choices import OnlineState  # noqa: E402
from features.ml.demo_world import World  # noqa: E402
from features.models import EventKey, FeatureSet  # noqa: E402
from features.services import demo as features  # noqa: E402
from inference import services as serving  # noqa: E402
from models_app.models import RegisteredModel  # noqa: E402
from models_app.services import registry  # noqa: E402
from training.choices import JobStatus  # noqa: E402
from training.models import TrainingJob  # noqa: E402
from training.services import jobs as training  # noqa: E402

MODEL = "demo_fraud_detection"
DATASET = "fraud_training_data.csv"
DEFINITIONS = settings.BASE_DIR / "config" / "features.example"
STREAM = "transactions"
FEATURE_SET = "demo_fraud"
PATIENCE = 300  # seconds


def main() -> int:
    """Gives the exit status: 0 when the demo model serves."""
    _data()
    actor = _owner()
    if not is_needed():
        say(f"Demo model {MODEL} is there already.")
        return 0
    feature_set = _features()
    model = RegisteredModel.objects.filter(name=MODEL).first() or _register(actor)
    if not model.versions.exists() and not _train(model, feature_set, actor):
        return 1
    deployment = serving.deploy(model=model, actor=actor, reason="first run")
    say(f"Deployed {deployment.version}.")
    return 0


def is_needed() -> bool:
    """Whether the demo model was never deployed, nor taken away by anybody."""
    model = RegisteredModel.objects.filter(name=MODEL).first()
    return model is None or not (model.is_retired or model.deployments.exists())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _data() -> None:
    target = settings.DATA_ROOT / DATASET
    if not target.exists():
        rows = features.write_demo_world(target=target, world=_world())
        say(f"Generated the demo world: {rows:,} payments in {target}.")


def _world() -> World:
    """It ends yesterday, so that today's first payment finds a past."""
    start = date.today() - timedelta(days=World.days)  # noqa: DTZ011 - any day will do
    return World(start=start.isoformat())


def _features() -> FeatureSet:
    """The demo's definitions, with the payments as history; ready online when this returns."""
    if not FeatureSet.objects.filter(name=FEATURE_SET).exists():
        call_command("apply_features", str(DEFINITIONS), promote=True, stdout=io.StringIO())
    feature_set = FeatureSet.objects.pinned(FEATURE_SET)
    call_command("ingest_events", STREAM, str(settings.DATA_ROOT / DATASET), history=True)
    _await_online(feature_set)
    return feature_set


def _await_online(feature_set: FeatureSet) -> None:
    deadline = time.monotonic() + PATIENCE
    building = feature_set.members.filter(version__online=OnlineState.BUILDING)
    if building.exists():
        say("Building the online features ...")
    while building.exists() and time.monotonic() < deadline:
        time.sleep(0.5)


def _owner() -> User:
    return User.objects.filter(username="admin", is_active=True).first() or audit.system_user()


def _register(actor: User) -> RegisteredModel:
    return registry.create_model(
        actor=actor,
        name=MODEL,
        description="Trained on simulated card payments. Its scores say nothing about real cards.",
        tags=["demo"],
        tier="low",
    )


def _train(model: RegisteredModel, feature_set: FeatureSet, actor: User) -> bool:
    job = model.training_jobs.open().first() or training.request_run(
        model=model, actor=actor, source=_all_events(feature_set), reason="demo"
    )
    job = _wait(job)
    if job.status != JobStatus.SUCCEEDED:
        say(f"The demo training {job.status}: {job.error or 'see the job in the admin'}")
        return False
    test = job.metrics["test"]
    say(
        f"Trained the demo model in {job.seconds:.0f} s: held-out AUROC {test['auroc']:.3f},"
        f" average precision {test['average_precision']:.3f}."
    )
    return True


def _all_events(feature_set: FeatureSet) -> training.Source:
    logged = EventKey.objects.filter(stream=feature_set.stream)
    ends = logged.aggregate(first=Min("event_time"), last=Max("event_time"))
    since, last = (
        datetime.combine(ends[end].date(), time_of_day(), tzinfo=UTC) for end in ("first", "last")
    )
    return training.Source(feature_set=feature_set, since=since, until=last + timedelta(days=1))


def _wait(job: TrainingJob) -> TrainingJob:
    deadline = time.monotonic() + PATIENCE
    shown = ""
    while not job.is_finished and time.monotonic() < deadline:
        line = f"Training the demo model: {job.progress:3d} % {job.step}"
        if line != shown:
            say(line)
            shown = line
        time.sleep(0.5)
        job.refresh_from_db()
    return job


if __name__ == "__main__":
    sys.exit(main())
