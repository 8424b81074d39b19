"""Misuse is told at the start."""

from typing import Any

from django.core.checks import run_checks


def test_a_router_that_cannot_be_imported_stops_the_start(settings: Any) -> None:
    settings.INFERENCE_ROUTER = "experiments.nowhere.Router"
    assert [check.id for check in run_checks()] == ["aegisml.E001"]


def test_the_project_as_it_is_passes_every_check() -> None:
    assert run_checks() == []
