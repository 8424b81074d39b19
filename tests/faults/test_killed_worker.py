"""A web worker dies in the middle of traffic: what was acknowledged is kept, once."""

import http.client
import json
import threading
import time
from collections import Counter
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings

from aegisml.base.auth import roles, tokens
from inference import jobs, services
from inference.models import Prediction
from tests.factories import make_user, payment, trained_version
from tests.faults.conftest import Served

CLIENTS = 8
TOTAL = 2000
KILL_AFTER = 600


class Ledger:
    """What the callers were told, and how often they were not answered."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.unanswered = 0
        self.refused: list[str] = []
        self.last_failure = 0.0
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        return len(self.acknowledged) < TOTAL and not self.refused

    def keep(self, prediction_id: str) -> None:
        with self._lock:
            self.acknowledged.append(prediction_id)

    def miss(self) -> None:
        with self._lock:
            self.unanswered += 1
            self.last_failure = time.monotonic()


def call_until_enough(port: int, path: str, headers: dict[str, str], ledger: Ledger) -> None:
    body = json.dumps({"features": payment()})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while ledger.wanted:
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (http.client.HTTPException, OSError):
            ledger.miss()
            connection.close()
            time.sleep(0.05)
            continue
        if answer.status != HTTPStatus.OK:
            ledger.refused.append(data.decode())
            return
        ledger.keep(json.loads(data)["prediction_id"])
    connection.close()


@pytest.mark.slow
def test_every_acknowledged_prediction_is_stored_once_after_a_kill(served: Served) -> None:
    version = trained_version()
    services.deploy(model=version.model, actor=version.created_by)
    pair = tokens.open_session(user=make_user(roles.SERVICE), user_agent="tests")
    headers = {"Authorization": f"Bearer {pair.access}", "Content-Type": "application/json"}
    ledger = Ledger()
    path = f"/api/v1/models/{version.model.name}/predict"
    callers = [
        threading.Thread(target=call_until_enough, args=(served.port, path, headers, ledger))
        for _ in range(CLIENTS)
    ]
    for caller in callers:
        caller.start()
    while ledger.wanted and len(ledger.acknowledged) < KILL_AFTER:
        time.sleep(0.005)
    victim = served.workers()[-1]
    killed_at = time.monotonic()
    victim.kill()
    for caller in callers:
        caller.join(timeout=120)
    jobs.ship(settings.JOURNAL_ROOT)
    stored = Counter(str(pk) for pk in Prediction.objects.values_list("pk", flat=True))
    told = Counter(ledger.acknowledged)
    report(ledger, stored, killed_at)
    assert not ledger.refused
    assert sum(told.values()) >= TOTAL
    assert max(told.values()) == max(stored.values()) == 1
    assert not told - stored, "acknowledged but lost"
    assert sum((stored - told).values()) <= CLIENTS, "more unacknowledged rows than calls in flight"
    assert ledger.unanswered >= 1, "the kill hit nobody: it proves nothing"
    assert ledger.last_failure - killed_at < 5


def report(ledger: Ledger, stored: Counter[str], killed_at: float) -> None:
    told = Counter(ledger.acknowledged)
    print(  # noqa: T201 - the ledger is what the run is for
        f"\nacknowledged {len(ledger.acknowledged)}, lost {sum((told - stored).values())},"
        f" doubled {sum(n - 1 for n in stored.values())},"
        f" stored without an answer {sum((stored - told).values())},"
        f" calls not answered {ledger.unanswered},"
        f" last of them {ledger.last_failure - killed_at:.2f} s after the kill"
    )


@pytest.mark.slow
def test_a_killed_worker_is_replaced(served: Served) -> None:
    before: Any = {worker.pid for worker in served.workers()}
    served.workers()[-1].kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        now = {worker.pid for worker in served.workers()}
        if len(now) >= len(before) and now != before:
            return
        time.sleep(0.1)
    raise AssertionError("no new worker came")
