"""Live streams beside predictions on the production server: they never keep predictions out."""

import http.client
import json
import threading
import time
from typing import Any

import pytest

from aegisml.base.auth import roles, tokens
from inference import services
from models_app.models import ModelVersion
from tests.factories import make_job, make_user, payment, trained_version
from tests.faults.conftest import Served
from training.choices import JobStatus
from training.models import TrainingJob

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

READERS = 40


@pytest.fixture
def headers() -> dict[str, str]:
    pair = tokens.open_session(user=make_user(roles.DATA_SCIENTIST), user_agent="tests")
    return {"Authorization": f"Bearer {pair.access}", "Content-Type": "application/json"}


class Reader(threading.Thread):
    """An EventSource: reads, remembers the last id, and comes again when it is told to."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._port, self._path, self._headers = port, path, headers
        self.statuses: list[int] = []
        self.kinds: list[str] = []
        self.retry = 1.0
        self._leave = threading.Event()

    def run(self) -> None:
        last = ""
        while not self._leave.is_set():
            asked = {**self._headers, "Accept": "text/event-stream"}
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            connection.request(
                "GET", self._path, headers=asked | ({"Last-Event-ID": last} if last else {})
            )
            answer = connection.getresponse()
            lines = answer.read().decode().splitlines()
            connection.close()
            self.statuses.append(answer.status)
            if answer.status == 204:
                return
            for line in lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    last = value
                elif name == "event":
                    self.kinds.append(value)
                elif name == "retry":
                    self.retry = int(value) / 1000
            self._leave.wait(self.retry)

    def leave(self) -> None:
        self._leave.set()
        self.join(timeout=30)


def events_of(job: TrainingJob) -> str:
    return f"/api/v1/models/{job.model_id}/training-jobs/{job.pk}/events"


def latencies(
    served: Served, version: ModelVersion, headers: dict[str, str], seconds: float
) -> list[float]:
    """Of predictions, one after the other, in order of their length."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    body = json.dumps({"features": payment()})
    path = f"/api/v1/models/{version.model.name}/predict"
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        found.append(time.perf_counter() - began)
    connection.close()
    return sorted(found)


def running_job(version: ModelVersion, **changes: Any) -> TrainingJob:
    curve = [{"round": number, "validation_ap": 0.5} for number in range(1, 101)]
    given = {"status": JobStatus.RUNNING, "attempts": 1, "curve": curve, **changes}
    return make_job(version.model, log="a line\n" * 50, log_lines=50, **given)


def test_a_reader_gets_everything_and_stops_at_the_end(
    served: Served, headers: dict[str, str]
) -> None:
    job = running_job(trained_version())
    reader = Reader(served.port, events_of(job), headers)
    reader.start()
    time.sleep(2.5)
    assert job.fence == 0
    TrainingJob.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert set(reader.statuses[:-1]) == {200}
    assert reader.statuses[-1] == 204
    assert [kind for kind in reader.kinds if kind in ("status", "end")] == [
        "status",
        "status",
        "end",
    ]
    assert (reader.kinds.count("log"), reader.kinds.count("metrics")) == (50, 100)


def test_many_readers_do_not_keep_predictions_out(served: Served, headers: dict[str, str]) -> None:
    version = trained_version()
    services.deploy(model=version.model, actor=version.created_by)
    latencies(served, version, headers, 2)
    alone = latencies(served, version, headers, 4)
    job = running_job(version)
    readers = [Reader(served.port, events_of(job), headers) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    time.sleep(5)
    beside = latencies(served, version, headers, 6)
    for reader in readers:
        reader.leave()
    assert {status for reader in readers for status in reader.statuses} == {200}
    assert max(reader.retry for reader in readers) > 1  # so many are asked to come less often
    assert beside[len(beside) // 2] < 3 * alone[len(alone) // 2]
