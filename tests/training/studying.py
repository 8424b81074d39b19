"""Studies for tests: asked for, searched by workers in turn, and brought to their end."""

from typing import Any

import optuna
from django.contrib.auth.models import User

from models_app.models import RegisteredModel
from tests.factories import make_model
from tests.training import data
from training import jobs, optuna_storage, searches
from training.choices import TrialStatus
from training.models import Study, TrainingJob
from training.services import closing, studies
from training.services.studies import Plan, Source

ROWS = 600
DATASET = "payments.parquet"
# a logistic regression of 600 rows fits in a tenth of a second
SMALL: dict[str, Any] = {"algorithms": ("logistic_regression",), "trials": 4}


def dataset(name: str = DATASET, **columns: Any) -> str:
    return data.put(name, data.table(ROWS, **columns))


def ask(
    model: RegisteredModel | None = None,
    *,
    actor: User | None = None,
    parameters: dict[str, Any] | None = None,
    dataset_path: str = "",
    **plan: Any,
) -> Study:
    """A queued study; without a plan a small one."""
    model = model or make_model()
    return studies.request_study(
        model=model,
        actor=actor or model.owner,
        source=Source(dataset_path=dataset_path or dataset()),
        plan=Plan(**(plan or SMALL)),
        parameters=parameters,
    )


def search(study: Study) -> Study:
    """Do all of a study's trials, one after the other."""
    searches.begin(str(study.pk))
    while waiting := study.trials.filter(status=TrialStatus.QUEUED).first():
        searches.work(str(waiting.pk))
    study.refresh_from_db()
    return study


def close(study: Study) -> Study:
    """Do the trainings that the study ends with, until it is over."""
    for _ in range(4):
        closing.advance(study_id=str(study.pk))
        for job in TrainingJob.objects.filter(model=study.model).open():
            jobs.train(str(job.pk))
    study.refresh_from_db()
    return study


def known_to_optuna(study: Study) -> list[optuna.trial.FrozenTrial]:
    """What Optuna remembers of the study, over all its algorithms."""
    with optuna_storage.opened() as storage:
        found = [optuna_storage.search(storage, study, name) for name in study.algorithms]
        return [trial for each in found for trial in each.get_trials()]


def states(study: Study) -> list[str]:
    return [trial.state.name.lower() for trial in known_to_optuna(study)]
