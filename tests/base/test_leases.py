"""A worker's lease is renewed for as long as its work lasts."""

import threading
import time
from collections.abc import Callable

from django.db import OperationalError

from aegisml.base import leases

SOON = 0.01


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not is_so() and time.monotonic() < deadline:
        time.sleep(SOON)
    return is_so()


def test_a_silent_body_keeps_its_lease() -> None:
    renewals: list[str] = []

    def renew() -> str:
        renewals.append(threading.current_thread().name)
        return "running"

    with leases.kept(renew, status="running", every=SOON, name="lease of a job"):
        assert until(lambda: len(renewals) > 2)
    at_the_end = len(renewals)
    time.sleep(5 * SOON)
    assert set(renewals) == {"lease of a job"}
    assert len(renewals) == at_the_end


def test_the_body_sees_that_it_is_not_wanted_any_more() -> None:
    with leases.kept(lambda: "cancelling", status="running", every=SOON, name="lease") as lease:
        assert until(lambda: lease.status == "cancelling")


def test_the_body_sees_that_another_has_the_row() -> None:
    with leases.kept(lambda: None, status="running", every=SOON, name="lease") as lease:
        assert lease.status == "running"
        assert until(lambda: lease.status is None)


def test_a_database_that_is_away_for_a_moment_does_not_end_the_lease() -> None:
    answers = iter([OperationalError("gone"), "running", "cancelling"])

    def renew() -> str:
        answer = next(answers, "cancelling")
        if isinstance(answer, Exception):
            raise answer
        return answer

    with leases.kept(renew, status="running", every=SOON, name="lease") as lease:
        assert until(lambda: lease.status == "cancelling")


def test_a_watch_looks_more_often_than_the_lease_is_renewed() -> None:
    done: list[str] = []

    def note(what: str) -> str:
        done.append(what)
        return "running"

    watch = leases.Watch(look=lambda: note("look"), unheeded=lambda _: None, every=SOON)
    with leases.kept(lambda: note("renewal"), status="running", every=5, name="lease", watch=watch):
        assert until(lambda: len(done) > 2)
    assert set(done) == {"look"}


def test_a_body_that_does_not_heed_is_told_of_once_after_some_patience() -> None:
    heard: list[tuple[str | None, float]] = []
    began = time.monotonic()
    watch = leases.Watch[str](
        look=lambda: "cancelling",
        unheeded=lambda status: heard.append((status, time.monotonic() - began)),
        every=SOON,
        patience=0.1,
    )
    with leases.kept(lambda: "running", status="running", every=5, name="lease", watch=watch):
        assert until(lambda: bool(heard))
        time.sleep(10 * SOON)
    ((status, after),) = heard
    assert status == "cancelling"
    assert after >= 0.1


def test_a_body_that_ends_in_time_is_left_in_peace() -> None:
    heard: list[str | None] = []
    watch = leases.Watch[str](
        look=lambda: "cancelling", unheeded=heard.append, every=SOON, patience=0.2
    )
    with leases.kept(
        lambda: "running", status="running", every=5, name="lease", watch=watch
    ) as lease:
        assert until(lambda: lease.status == "cancelling")
    time.sleep(0.3)
    assert heard == []
