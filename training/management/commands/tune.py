"""manage.py tune"""

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from aegisml.base.errors import AegisError
from features.models import FeatureSet
from models_app.models import RegisteredModel
from training import jobs, searches
from training.choices import Metric, Phase, Pruner, Sampler, StudyStatus
from training.management.options import acting, moment, parameter
from training.management.terminal import BAD_REQUEST, FAILED, INTERRUPTED, Bar
from training.models import Study, Trial
from training.services import closing
from training.services import studies as services
from training.services.jobs import Terms
from training.standing import Standing

LOOK_EVERY = 0.3  # seconds
SHOWN = 5  # trials
PATIENCE = 5  # seconds for a trial to stop after Ctrl-C


class Command(BaseCommand):
    help = (
        "Search for the parameters that are best on validation rows, here or by the workers, and"
        " train a version with them. Ends with 0 when a version is made, 1 when not, 2 for a"
        " request that is wrong, 130 after Ctrl-C, which cancels the study."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", metavar="MODEL")
        parser.add_argument("--dataset", metavar="PATH", default="", help="below the data root")
        parser.add_argument("--feature-set", metavar="SET", help="such as demo_fraud@v1")
        parser.add_argument("--from", dest="since", metavar="TIME", type=moment)
        parser.add_argument("--to", dest="until", metavar="TIME", type=moment)
        parser.add_argument("--trials", type=int, metavar="N")
        parser.add_argument(
            "--timeout", type=int, metavar="SECONDS", help="the time budget of the search"
        )
        parser.add_argument(
            "--space", type=_json_file, metavar="FILE",
            help='JSON: {"max_depth": {"low": 2, "high": 8}, ...}',
        )  # fmt: skip
        parser.add_argument("--automl", action="store_true", help="over algorithms too")
        parser.add_argument(
            "--algorithm", action="append", default=[], dest="algorithms", metavar="NAME"
        )
        parser.add_argument("--metric", choices=Metric.values, default=Metric.AVERAGE_PRECISION)
        parser.add_argument("--sampler", choices=Sampler.values, default=Sampler.TPE)
        parser.add_argument("--pruner", choices=Pruner.values, default=Pruner.MEDIAN)
        parser.add_argument("--workers", type=int, default=1, help="trials at once, with --queue")
        parser.add_argument(
            "--param", metavar="NAME=VALUE", dest="parameters", action="append", default=[],
            type=parameter, help="what all trials have in common; the value as JSON, or text",
        )  # fmt: skip
        parser.add_argument("--reason", default="manage.py tune")
        parser.add_argument("--user", metavar="NAME", help="in whose name; default: the system's")
        parser.add_argument("--queue", action="store_true", help="leave it to the workers")
        parser.add_argument(
            "--wait", action="store_true", help="with --queue: follow it until it is over"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:  # as long as it takes
            cursor.execute("SET statement_timeout = 0")
        study = self._requested(options)
        self.stdout.write(f"Study {study.pk}: {study.model} on {study.source}")
        if options["queue"] and not options["wait"]:
            return
        worker = None if options["queue"] else _worker(study)
        bar = Bar(self.stdout)
        try:
            _follow(study, worker, bar)
        except KeyboardInterrupt:
            _cancel(study, worker)
            raise CommandError(
                "Interrupted; the study is cancelled.", returncode=INTERRUPTED
            ) from None
        finally:
            bar.end()
        self._conclude(study)

    def _requested(self, options: dict[str, Any]) -> Study:
        try:
            name = options["feature_set"]
            return services.request_study(
                model=RegisteredModel.objects.lookup(options["model"]),
                actor=acting(options["user"]),
                source=services.Source(
                    dataset_path=options["dataset"],
                    feature_set=FeatureSet.objects.pinned(name) if name else None,
                    since=options["since"],
                    until=options["until"],
                ),
                plan=_plan(options),
                parameters=dict(options["parameters"]),
                reason=options["reason"],
                terms=Terms(announce=options["queue"]),
            )
        except AegisError as error:
            raise CommandError(error.detail, returncode=BAD_REQUEST) from None

    def _conclude(self, study: Study) -> None:
        standing = Standing.of(study)
        for line in _table(standing):
            self.stdout.write(line)
        if study.status == StudyStatus.CANCELLED:
            raise CommandError("The study was cancelled.", returncode=INTERRUPTED)
        if study.status != StudyStatus.SUCCEEDED:
            raise CommandError(f"The study {study.status}: {study.error}", returncode=FAILED)
        if study.verdict:
            self.stdout.write(study.verdict)
        seconds = f"{study.seconds:.1f} s" if study.seconds is not None else "-"
        self.stdout.write(self.style.SUCCESS(f"Trained {study.version} in {seconds}."))


def _plan(options: dict[str, Any]) -> services.Plan:
    return services.Plan(
        algorithms=tuple(options["algorithms"]),
        is_automl=options["automl"],
        space=options["space"],
        metric=options["metric"],
        sampler=options["sampler"],
        pruner=options["pruner"],
        trials=options["trials"],
        time_budget_seconds=options["timeout"],
        workers=options["workers"],
    )


def _worker(study: Study) -> threading.Thread:
    """The study at work in a thread of this process, so that Ctrl-C is heard."""

    def work() -> None:
        try:
            _search(study)
            _close(study)
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="study", daemon=True)
    thread.start()
    return thread


def _search(study: Study) -> None:
    found = searches.begin(str(study.pk))
    waiting = list(found.trials)
    while waiting:
        waiting += searches.work(waiting.pop(0)).trials


def _close(study: Study) -> None:
    """Train what the search found; the workers may be quicker."""
    while True:
        closing.advance(study_id=str(study.pk))
        study = Study.objects.get(pk=study.pk)
        if study.is_finished:
            return
        trained = [trial.job for trial in study.finalists() if trial.job is not None]
        for job in [*trained, study.ensemble_job]:
            if job is not None and not job.is_finished:
                jobs.train(str(job.pk))
        time.sleep(LOOK_EVERY)


def _follow(study: Study, worker: threading.Thread | None, bar: Bar) -> None:
    """Show the study until it is over, whoever works on it."""
    while True:
        is_left = worker is not None and not worker.is_alive()  # looked at before the row is
        study.refresh_from_db()
        standing = Standing.of(study)
        if study.is_finished:
            if worker is not None:
                worker.join()
            bar.show(standing.progress, _doing(standing))
            return
        if is_left:
            raise CommandError("The study broke off; the log has the details.", returncode=FAILED)
        bar.show(standing.progress, _doing(standing))
        time.sleep(LOOK_EVERY)


def _doing(standing: Standing) -> str:
    study = standing.study
    if study.phase != Phase.SEARCH:
        return Phase(study.phase).label
    wanted = f" of {study.trials_wanted:,}" if study.trials_wanted else ""
    parts = [f"{standing.ended:,}{wanted} trials"]
    if standing.best is not None:
        parts.append(f"best {standing.best.value:.4f}")
    if standing.eta_seconds is not None:
        parts.append(f"about {standing.eta_seconds:,.0f} s left")
    return ", ".join(parts)


def _cancel(study: Study, worker: threading.Thread | None) -> None:
    try:
        services.cancel(study=study, actor=study.requested_by, reason="Ctrl-C")
    except AegisError:
        return  # it came to its end meanwhile
    if worker is not None:
        worker.join(timeout=PATIENCE)


def _table(standing: Standing) -> list[str]:
    """The best trials as lines."""
    valued = [trial for trial in standing.trials if trial.value is not None]
    if not valued:
        return []
    best = sorted(valued, key=lambda trial: (-(trial.value or 0.0), trial.number))[:SHOWN]
    counts = f"{standing.ended:,} trials, {len(valued):,} with a value"
    metric = standing.study.get_metric_display()
    return [f"{counts}; the best by {metric}:", *map(_line, best)]


def _line(trial: Trial) -> str:
    chosen = ", ".join(f"{name}={_short(v)}" for name, v in sorted(trial.parameters.items()))
    return f"  trial {trial.number:>4}  {trial.value:.4f}  {trial.algorithm:<20} {chosen}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _json_file(text: str) -> Any:
    try:
        found = json.loads(Path(text).read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text}: must be a JSON object of parameters")
    return found
