"""Builds a view version's online state from the event log."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import redis
import structlog
from django.db.models import Max
from django.utils import timezone

from features.choices import OnlineState, RunStatus
from features.jobs import labelling
from features.log import Logged, files, sealing
from features.log.events import microseconds
from features.models import EventSegment, FeatureViewVersion, HotEvent, MaterializeRun, Stream
from features.online import client, state
from features.online.live import Target
from features.online.writing import additions

log = structlog.get_logger(__name__)

BATCH = 5000  # events read and written at once
Report = Callable[[int, str], None]  # percent, and what was done


def run(run_id: str, report: Report | None = None) -> None:
    """Do one run to its end; a run that somebody else does is left alone.

    When Redis goes away the run is queued again, for `runs.due` to announce.
    """
    rows = MaterializeRun.objects.select_related("version__view__stream")
    job = rows.get(pk=run_id)
    if not job.claim():
        return
    try:
        _Build(job, report).run()
    except redis.RedisError as error:
        log.warning("materialize waits for Redis", run=run_id, error=type(error).__name__)
        job.write(status=RunStatus.QUEUED, error="Redis was not reachable; tried again soon.")
    except (OSError, pa.ArrowException) as error:
        log.exception("materialize failed", run=run_id)
        text = f"The event log can't be read: {type(error).__name__}."
        job.finish(RunStatus.FAILED, error=text)


class TakenAway(Exception):
    """Another worker has the run, or the version was switched off."""


class _Build:
    """One run. Whoever logs an event feeds it from `begin` on, so what is in the log at that
    moment is all that is left to add."""

    def __init__(self, job: MaterializeRun, report: Report | None) -> None:
        self._job = job
        self._version = job.version
        self._stream = job.version.view.stream
        self._target = Target.of(job.version)
        self._builder = str(job.pk)
        self._report = report or (lambda percent, text: None)

    def run(self) -> None:
        try:
            self._begin()
            self._add_log()
            self._add_labels()
            self._finish()
        except TakenAway:
            log.info("materialize stopped", run=self._builder)

    def _begin(self) -> None:
        if self._job.cursor and state.is_begun(self._version, self._builder):
            return
        self._job.cursor, self._job.events = "", 0
        self._write(cursor="", events=0, progress=0)
        state.begin(self._version, self._builder)

    def _add_log(self) -> None:
        since = self._since()
        if since is None:
            return
        days = _by_day(sealing.snapshot(self._stream, since=since))
        for done, (day, paths) in enumerate(days, start=1):
            if day <= self._job.cursor:
                continue
            for path in paths:
                self._add_file(path, since)
            self._job.cursor = day
            percent = 99 * done // len(days)
            self._write(cursor=day, progress=percent, events=self._job.events)
            self._report(percent, f"{day}: {self._job.events:,} events")

    def _add_labels(self) -> None:
        since = self._since()
        if since is not None and self._target.reads_labels:
            labelling.refresh_reach(self._stream, since=since)

    def _add_file(self, path: str, since: int) -> None:
        for events in _read(path, self._stream, self._fields(), since):
            client.send_all(additions(self._stream, [self._target], events))
            self._job.events += len(events)
            self._write()

    def _fields(self) -> set[str]:
        view = self._target.view
        fields = {name for name in view.fields if name in self._stream.schema.by_name}
        fields |= {view.entity_field or ""}
        if view.reads_labels:
            fields |= {self._stream.schema.label or ""}
        return fields - {""}

    def _since(self) -> int | None:
        """The oldest event time that matters, in microseconds; None for an empty log."""
        sealed = EventSegment.objects.filter(stream=self._stream)
        hot = HotEvent.objects.filter(stream=self._stream)
        newest = [
            sealed.aggregate(newest=Max("max_event_time"))["newest"],
            hot.aggregate(newest=Max("event_time"))["newest"],
        ]
        known = [microseconds(moment) for moment in newest if moment is not None]
        return max(known) - self._target.keep if known else None

    def _finish(self) -> None:
        if not state.complete(self._version, self._builder):
            text = "Redis was emptied meanwhile; begun again."
            self._job.write(status=RunStatus.QUEUED, cursor="", error=text)
            return
        live = FeatureViewVersion.objects.live().filter(pk=self._version.pk)
        live.update(online=OnlineState.READY)
        self._write(
            status=RunStatus.SUCCEEDED,
            progress=100,
            error="",
            events=self._job.events,
            finished_at=timezone.now(),
        )
        self._report(100, f"complete with {self._job.events:,} events")

    def _write(self, **values: Any) -> None:
        """Note progress and keep the lease."""
        if not FeatureViewVersion.objects.live().filter(pk=self._version.pk).exists():
            self._job.finish(RunStatus.FAILED, error="The version was switched off.")
            state.delete_version_state(self._version.pk, self._stream.pk)
            raise TakenAway
        if not self._job.write(**values):
            raise TakenAway


def _by_day(paths: list[str]) -> list[tuple[str, list[str]]]:
    def day(path: str) -> str:
        return Path(path).parent.name.removeprefix("day=")

    return [(name, list(group)) for name, group in groupby(sorted(paths, key=day), key=day)]


def _read(path: str, stream: Stream, fields: set[str], since: int) -> Iterator[list[Logged]]:
    """The events of a segment, with these fields only, that aren't older than `since`."""
    with pq.ParquetFile(path) as file:
        there = [name for name in sorted(fields) if name in file.schema_arrow.names]
        own = ["_event_id", "_event_time", "_known_time", "_seq"]
        for batch in file.iter_batches(batch_size=BATCH, columns=own + there):
            columns = [files.plain(column) for column in batch.columns]
            yield [
                Logged(
                    seq=seq,
                    event_id=event_id,
                    event_time=event_time,
                    known_time=known_time,
                    payload=dict(zip(there, rest, strict=True)),
                )
                for event_id, event_time, known_time, seq, *rest in zip(*columns, strict=True)
                if event_time >= since
            ]
