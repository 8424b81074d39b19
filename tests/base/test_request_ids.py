"""The request's id ties an answer to its log line."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.test import Client

from aegisml.base.auth import roles
from models_app.services import registry
from tests.factories import api_client


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """What the platform's own handler writes."""
    ours = structlog.stdlib.ProcessorFormatter
    handler: Any = next(h for h in logging.getLogger().handlers if isinstance(h.formatter, ours))
    text = io.StringIO()
    before = handler.setStream(text)
    yield text
    handler.setStream(before)


@pytest.mark.parametrize("given", ["abc", "a" * 100, "0af7651916cd43dd8448eb211c80319c", "x-1_2.3"])
def test_a_plain_id_is_echoed(given: str) -> None:
    assert Client().get("/livez", headers={"X-Request-Id": given})["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", "a" * 101, "two words", "a\r\nb", "\x1b[31m", "<b>", "ünï", 'a"b', "a/b"]
)
def test_anything_else_is_replaced_by_a_new_one(given: str) -> None:
    first = Client().get("/livez", headers={"X-Request-Id": given})["X-Request-Id"]
    second = Client().get("/livez", headers={"X-Request-Id": given})["X-Request-Id"]
    assert len(first) == 32
    assert given != first != second


@pytest.mark.django_db
def test_the_log_line_of_a_bug_bears_the_id_that_the_caller_got(
    log_text: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**kwargs: Any) -> None:
        raise RuntimeError("out of paper")

    monkeypatch.setattr(registry, "create_model", broken)
    body = {"name": "fraud", "algorithm": "xgboost"}
    answer = api_client(roles.ADMIN).post("/api/v1/models", body, headers={"X-Request-Id": "r-1"})
    assert answer.json()["request_id"] == "r-1"
    lines = [json.loads(line) for line in log_text.getvalue().splitlines()]
    ours = [line for line in lines if line["event"] == "unhandled error"]
    assert [line["request_id"] for line in ours] == ["r-1"]
    assert "out of paper" in ours[0]["exception"]
    assert ours[0]["path"] == "/api/v1/models"


def test_what_a_caller_sends_cannot_forge_a_log_line(log_text: io.StringIO) -> None:
    structlog.get_logger("tests").error("login failed", name='bob"}\r\n{"event": "fine"}\x1b[2K')
    (line,) = log_text.getvalue().splitlines()
    assert json.loads(line)["event"] == "login failed"


def test_the_id_of_one_request_does_not_reach_the_next(log_text: io.StringIO) -> None:
    Client().get("/livez", headers={"X-Request-Id": "r-1"})
    structlog.get_logger("tests").error("later")
    assert "request_id" not in json.loads(log_text.getvalue())
