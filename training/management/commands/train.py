"""manage.py train"""

import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from aegisml.base.errors import AegisError
from features.models import FeatureSet
from models_app.models import RegisteredModel
from training import jobs
from training.choices import PRIORITIES, JobStatus, Priority
from training.management.options import acting, moment, parameter
from training.management.terminal import (
    BAD_REQUEST,
    FAILED,
    INTERRUPTED,
    LEAK_SUSPECTED,
    Bar,
    metric_lines,
)
from training.models import TrainingJob
from training.queue import why_waiting
from training.services import jobs as services

LOOK_EVERY = 0.3  # seconds
PATIENCE = 5  # seconds for a training to stop after Ctrl-C


class Command(BaseCommand):
    help = (
        "Train a model, here or by a worker, and follow it. Ends with 0 when a version is made, 1"
        " when not, 2 for a request that is wrong, 3 when a leak is suspected, 130 after Ctrl-C,"
        " which cancels the job."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", metavar="MODEL")
        parser.add_argument("--dataset", metavar="PATH", default="", help="below the data root")
        parser.add_argument("--feature-set", metavar="SET", help="such as demo_fraud@v1")
        parser.add_argument("--from", dest="since", metavar="TIME", type=moment)
        parser.add_argument("--to", dest="until", metavar="TIME", type=moment)
        parser.add_argument(
            "--param", metavar="NAME=VALUE", dest="parameters", action="append", default=[],
            type=parameter, help="of the pipeline or the algorithm; the value as JSON, or text",
        )  # fmt: skip
        parser.add_argument("--reason", default="manage.py train")
        parser.add_argument("--user", metavar="NAME", help="in whose name; default: the system's")
        parser.add_argument("--priority", choices=PRIORITIES, default=Priority.NORMAL.word)
        parser.add_argument("--duplicate", action="store_true", help="even if the same is open")
        parser.add_argument("--queue", action="store_true", help="leave it to the workers")
        parser.add_argument(
            "--wait", action="store_true", help="with --queue: follow it until it is over"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:  # as long as it takes
            cursor.execute("SET statement_timeout = 0")
        job = self._requested(options)
        self.stdout.write(f"Job {job.pk}: {job.model} on {job.source}")
        if options["queue"] and not options["wait"]:
            return
        worker = None if options["queue"] else _worker(job)
        bar = Bar(self.stdout)
        try:
            _follow(job, worker, bar)
        except KeyboardInterrupt:
            _cancel(job, worker)
            raise CommandError(
                "Interrupted; the job is cancelled.", returncode=INTERRUPTED
            ) from None
        finally:
            bar.end()
        self._conclude(job)

    def _requested(self, options: dict[str, Any]) -> TrainingJob:
        try:
            name = options["feature_set"]
            source = services.Source(
                dataset_path=options["dataset"],
                feature_set=FeatureSet.objects.pinned(name) if name else None,
                since=options["since"],
                until=options["until"],
            )
            return services.request_run(
                model=RegisteredModel.objects.lookup(options["model"]),
                actor=acting(options["user"]),
                source=source,
                parameters=dict(options["parameters"]),
                reason=options["reason"],
                terms=services.Terms(
                    priority=PRIORITIES[options["priority"]],
                    allow_duplicate=options["duplicate"],
                    announce=options["queue"],
                ),
            )
        except AegisError as error:
            raise CommandError(error.detail, returncode=BAD_REQUEST) from None

    def _conclude(self, job: TrainingJob) -> None:
        if job.status == JobStatus.LEAK_SUSPECTED:
            lines = [f"A leak is suspected: {job.error}"]
            lines += [f"  {leak['kind']} {leak['column']}: {leak['text']}" for leak in job.leaks]
            lines.append('  Look at them, or give a reason: --param overrides={"KIND": "REASON"}')
            raise CommandError("\n".join(lines), returncode=LEAK_SUSPECTED)
        if job.status == JobStatus.CANCELLED:
            raise CommandError("The job was cancelled.", returncode=INTERRUPTED)
        if job.status != JobStatus.SUCCEEDED:
            raise CommandError(f"The job {job.status}: {job.error}", returncode=FAILED)
        seconds = f"{job.seconds:.1f} s" if job.seconds is not None else "-"
        self.stdout.write(self.style.SUCCESS(f"Trained {job.version} in {seconds}."))
        test = job.metrics.get("test")
        for line in metric_lines(test) if test else []:
            self.stdout.write(line)


def _worker(job: TrainingJob) -> threading.Thread:
    """The job at work in a thread of this process, so that Ctrl-C is heard."""

    def work() -> None:
        try:
            jobs.train(str(job.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="training", daemon=True)
    thread.start()
    return thread


def _follow(job: TrainingJob, worker: threading.Thread | None, bar: Bar) -> None:
    """Show the job until it is over, whoever works on it."""
    while True:
        job.refresh_from_db()
        if job.is_finished:
            if worker is not None:
                worker.join()
            bar.show(job.progress, job.step)
            return
        bar.show(job.progress, why_waiting(job) or _doing(job))
        time.sleep(LOOK_EVERY)


def _doing(job: TrainingJob) -> str:
    left = job.eta_seconds
    return job.step if left is None else f"{job.step}, about {left:.0f} s left"


def _cancel(job: TrainingJob, worker: threading.Thread | None) -> None:
    try:
        services.cancel(job=job, actor=job.requested_by, reason="Ctrl-C")
    except AegisError:
        return  # it came to its end meanwhile
    if worker is None:
        return
    worker.join(timeout=PATIENCE)
    job.refresh_from_db()
    if not job.is_finished:  # a fit that doesn't listen ends with this process
        job.finish(JobStatus.CANCELLED)
