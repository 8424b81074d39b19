"""Versions side by side: what was measured, what went in, and whether the difference is more than
chance."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app.ml.compare import Side, compare
from models_app.models import ModelVersion
from tests.factories import api_client, make_model, trained_version

DATA = {"dataset": {"sha256": "aa", "label": "is_fraud"}, "split": {"method": "time", "seed": 0}}


def side(name: str = "fraud v1", **parts: Any) -> Side:
    empty: dict[str, Any] = {"metrics": {}, "parameters": {}, "lineage": {}, "signature": {}}
    return Side(name=name, **{**empty, **parts})


def measured(value: float | None, ends: list[float] | None = None, name: str = "auroc") -> Side:
    test = {name: value, "rows": 60, "intervals": {name: ends}}
    return side(metrics={"test": test}, lineage=DATA)


def measure(*sides: Side, name: str = "auroc") -> Any:
    return next(found for found in compare(sides).measures if found.name == name)


def test_the_highest_score_is_the_best() -> None:
    assert measure(measured(0.8), measured(0.9), measured(0.7)).best == (1,)


def test_of_errors_the_lowest_is_the_best() -> None:
    sides = measured(0.2, name="brier"), measured(0.1, name="brier")
    assert measure(*sides, name="brier").best == (1,)


def test_equals_are_both_the_best_and_alone_nobody_is() -> None:
    assert measure(measured(0.9), measured(0.9), measured(0.8)).best == (0, 1)
    assert measure(measured(0.9), measured(0.9)).best == ()
    assert measure(measured(0.9), measured(None)).best == ()


def test_no_count_of_rows_is_better_than_another() -> None:
    assert measure(measured(0.8), measured(0.9), name="rows").best == ()


@pytest.mark.parametrize(
    ("mine", "meets"),
    [([0.6, 0.84], False), ([0.6, 0.85], True), ([0.6, 0.99], True), (None, None), ([1], None)],
)
def test_an_interval_meets_that_of_the_best_or_stands_apart(mine: Any, meets: Any) -> None:
    found = measure(measured(0.7, mine), measured(0.9, [0.85, 0.95]))
    assert found.overlaps_best == (meets, True)


def test_what_nobody_measured_is_left_out() -> None:
    assert [found.name for found in compare([measured(0.8), measured(0.9)]).measures] == [
        "auroc", "rows",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lineage", "same", "words"),
    [
        (DATA, True, "All were measured on the same"),
        ({**DATA, "split": {"method": "time", "seed": 1}}, False, "different held-out rows"),
        ({**DATA, "dataset": {"sha256": "bb"}}, False, "different held-out rows"),
        ({}, None, "isn't known"),
    ],
)
def test_the_same_rows_are_told_from_others(lineage: Any, same: Any, words: str) -> None:
    found = compare([side(lineage=DATA), side(lineage=lineage)])
    assert found.same_rows is same
    assert words in found.note


def test_nested_lineage_is_compared_line_by_line() -> None:
    found = compare([side(lineage={"a": {"b": 1, "c": 2}}), side(lineage={"a": {"b": 1}})])
    assert [(line.name, line.values, line.differs) for line in found.lineage] == [
        ("a.b", (1, 1), False), ("a.c", (2, None), True),
    ]  # fmt: skip


def test_features_are_compared_by_kind_and_levels() -> None:
    features = [{"name": "a", "kind": "numeric"}, {"name": "b", "kind": "category", "levels": "xy"}]
    found = compare(
        [side(signature={"features": features}), side(signature={"features": features[1:]})]
    )
    assert [(line.name, line.values) for line in found.features] == [
        ("a", ("numeric", None)), ("b", ("category, 2 levels", "category, 2 levels")),
    ]  # fmt: skip


# --- over the API ---

COMPARE = "/api/v1/models/fraud/compare"


@pytest.fixture
def client(db: None) -> APIClient:
    return api_client(roles.VIEWER)


@pytest.fixture
def versions(own_folders: object) -> list[ModelVersion]:
    model, deeper = make_model("fraud"), make_model("deeper", parameters={"max_depth": 2})
    return [trained_version(model), trained_version(model), trained_version(deeper)]


def test_versions_of_this_and_other_models_are_compared(
    client: APIClient, versions: list[ModelVersion]
) -> None:
    body = client.get(f"{COMPARE}?versions=2,1,deeper@1").json()
    assert [(v["model"], v["version"]) for v in body["versions"]] == [
        ("fraud", 2), ("fraud", 1), ("deeper", 1),
    ]  # fmt: skip
    assert body["same_rows"] is True
    area = next(found for found in body["metrics"] if found["name"] == "auroc")
    assert area["values"][0] == versions[1].metrics["test"]["auroc"]
    assert area["intervals"][0] == versions[1].metrics["test"]["intervals"]["auroc"]
    depth = next(line for line in body["parameters"] if line["name"] == "max_depth")
    assert depth == {"name": "max_depth", "values": [3, 3, 2], "differs": True}
    assert {line["name"] for line in body["features"]} == {
        "amount", "merchant_category", "location",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("", 400), ("1", 400), ("1,1", 400), ("1,v1", 400), ("1,2,3,4,5,6,7", 400), ("1,x", 400),
        ("1,9", 404), ("1,other@1", 404), ("1,deeper@champion", 404), ("1,-2", 400),
        ("1,99999999999999999999", 400), ("1,fraud@99999999999", 400), ("1,²", 400),
        ("1,a\x00@1", 404),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused(
    client: APIClient, versions: list[ModelVersion], asked: str, status: int
) -> None:
    answer = client.get(COMPARE, {"versions": asked})
    assert answer.status_code == status, answer.content
    if status == 400:
        assert [error["field"] for error in answer.json()["errors"]] == ["versions"]
