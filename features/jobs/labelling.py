"""Keeps the online store's labels equal to what was stated, whatever failed in between."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.db.models import Exists, OuterRef
from django.utils import timezone

from features.choices import LIVE
from features.log.events import moment
from features.models import EventKey, Label, PredictionEvent, Stream
from features.online import client, keys, refresh_labels

AT_ONCE = 1000
OVERLAP = timedelta(minutes=5)  # longer than any transaction that records labels
FIRST_LOOK = timedelta(hours=1)


def catch_up() -> None:
    """Bring into the store what was stated since the last time, and labels whose prediction's
    event has arrived meanwhile.

    It mends what a Redis that was away has missed: a store that was emptied is
    built anew with its labels. Raises `redis.RedisError`.
    """
    for stream_id, event_ids in fill_in_events().items():
        refresh(Stream.objects.get(pk=stream_id), event_ids)
    for stream in Stream.objects.filter(views__versions__online__in=LIVE).distinct():
        started = time.time()
        [done] = client.exchange([[b"GET", keys.labels_done(stream.pk)]])
        if isinstance(done, bytes):
            since = datetime.fromtimestamp(float(done), tz=UTC) - OVERLAP
        else:
            since = timezone.now() - FIRST_LOOK
        stated = Label.objects.filter(stream=stream, known_time__gte=since)
        refresh(stream, stated.values_list("event_id", flat=True).distinct())
        client.exchange([[b"SET", keys.labels_done(stream.pk), repr(started)]])


def refresh_reach(stream: Stream, *, since: int) -> None:
    """Bring into the store what was ever stated about events that are not older than `since`
    (microseconds). Raises `redis.RedisError`."""
    oldest = moment(since)
    event = EventKey.objects.filter(
        stream=stream, event_id=OuterRef("event_id"), event_time__gte=oldest
    )
    stated = Label.objects.filter(Exists(event), stream=stream)
    refresh(stream, stated.values_list("event_id", flat=True).distinct())


def fill_in_events(prediction_ids: Iterable[object] | None = None) -> dict[int, list[str]]:
    """Tell labels that know only their prediction which event it was about, once that is logged.

    Gives the events by stream.
    """
    waiting = Label.objects.filter(event_id="", prediction_id__isnull=False)
    links = PredictionEvent.objects.filter(
        Exists(EventKey.objects.filter(stream=OuterRef("stream"), event_id=OuterRef("event_id"))),
        prediction_id__in=waiting.values("prediction_id"),
    )
    if prediction_ids is not None:
        links = links.filter(prediction_id__in=list(prediction_ids))
    filled: dict[int, list[str]] = {}
    for link in links:
        of_prediction = waiting.filter(prediction_id=link.prediction_id)
        of_prediction.update(stream=link.stream_id, event_id=link.event_id)
        filled.setdefault(link.stream_id, []).append(link.event_id)
    return filled


def refresh(stream: Stream, event_ids: Iterable[str]) -> None:
    """Raises `redis.RedisError`."""
    for some in _batches(event_ids):
        refresh_labels(stream, some)


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some
