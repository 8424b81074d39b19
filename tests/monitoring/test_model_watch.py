"""What the platform says of a model in production: the truth, also when it knows nothing yet."""

from typing import Any

import pytest

from tests.factories import make_model, payment


def of(model: Any, what: str) -> str:
    return f"/api/v1/models/{model.name}/{what}"


def usual(count: int = 400) -> list[dict[str, Any]]:
    """Payments like those of the training data, in all its ranges."""
    import random  # noqa: PLC0415

    rng = random.Random(5)
    rows = []
    for _ in range(count):
        fraud = rng.random() < 0.1
        rows.append(
            payment(
                amount=round(rng.lognormvariate(5.5 if fraud else 3.5, 0.6), 2),
                merchant_category=rng.choice(
                    ["online", "travel"] if fraud else ["grocery", "fuel", "online"]
                ),
                location="foreign" if rng.random() < (0.6 if fraud else 0.05) else "domestic",
            )
        )
    return rows


def test_metrics_show_training_and_the_log(get: Any, version: Any, log_rows: Any) -> None:
    log_rows([payment(), payment(amount=900.0, location="foreign", merchant_category="travel")])
    body = get(of(version.model, "metrics")).json()
    assert body["training"]["test"]["auroc"] == version.metrics["test"]["auroc"]
    assert body["predictions"] == sum(body["decisions"].values()) == 2
    assert 0 < body["latency_ms"]["p50"] <= body["latency_ms"]["p99"]
    assert body["performance"]["state"] == "not_evaluable"


def test_metrics_of_an_untrained_model_are_empty_and_say_so(get: Any) -> None:
    body = get(of(make_model(), "metrics")).json()
    assert (body["version"], body["training"], body["latency_ms"]) == (None, None, None)
    assert body["predictions"] == 0


@pytest.mark.parametrize("hours", ["0", "721", "x"])
def test_a_wrong_window_is_named(get: Any, version: Any, hours: str) -> None:
    answer = get(of(version.model, f"metrics?hours={hours}"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "hours"


def test_health_without_a_deployment_is_not_evaluable(get: Any) -> None:
    body = get(of(make_model(), "health")).json()
    assert body["state"] == "not_evaluable"
    assert "deployed" in body["reasons"][0]


def test_health_without_traffic_is_not_evaluable(get: Any, version: Any) -> None:
    body = get(of(version.model, "health")).json()
    assert body["state"] == "not_evaluable"
    assert "No predictions" in body["reasons"][0]


def test_slow_answers_are_a_warning_with_its_reason(get: Any, version: Any, log_rows: Any) -> None:
    log_rows([payment()], seconds=0.2)
    body = get(of(version.model, "health")).json()
    assert body["state"] == "warning"
    assert "p95 latency" in body["reasons"][0]


def test_few_predictions_are_not_evaluable_for_drift(get: Any, version: Any, log_rows: Any) -> None:
    log_rows([payment()] * 10)
    body = get(of(version.model, "drift")).json()
    assert body["state"] == "insufficient_data"
    assert "200 are needed" in body["detail"]


def test_traffic_like_the_training_data_does_not_drift(
    get: Any, version: Any, log_rows: Any
) -> None:
    log_rows(usual())
    body = get(of(version.model, "drift")).json()
    assert body["state"] == "ok", body
    assert set(body["features"]) == {"amount", "merchant_category", "location"}


def test_a_shifted_feature_is_named(get: Any, version: Any, log_rows: Any) -> None:
    log_rows([{**row, "amount": row["amount"] * 4} for row in usual()])
    body = get(of(version.model, "drift")).json()
    assert body["state"] == "drift"
    assert body["features"]["amount"]["state"] == "drift"
    assert body["features"]["location"]["state"] == "ok"
    assert "amount" in body["detail"]


def test_values_that_went_missing_drift(get: Any, version: Any, log_rows: Any) -> None:
    rows = usual()
    for row in rows[::2]:
        row["amount"] = None
    log_rows(rows)
    assert get(of(version.model, "drift")).json()["features"]["amount"]["state"] == "drift"


@pytest.mark.parametrize("method", ["ks", "psi", "js"])
def test_the_configured_method_is_used(
    get: Any, version: Any, log_rows: Any, settings: Any, method: str
) -> None:
    settings.DRIFT_DETECTION = settings.DRIFT_DETECTION.model_copy(update={"drift_method": method})
    log_rows([{**row, "amount": row["amount"] * 4} for row in usual()])
    found = get(of(version.model, "drift")).json()["features"]["amount"]
    assert (found["method"], found["state"]) == (method, "drift")


def test_drift_that_is_switched_off_is_not_evaluated(get: Any, version: Any, settings: Any) -> None:
    settings.DRIFT_DETECTION = settings.DRIFT_DETECTION.model_copy(update={"enabled": False})
    assert get(of(version.model, "drift")).json()["state"] == "not_evaluated"


def test_drift_of_an_undeployed_model_is_not_evaluated(get: Any) -> None:
    assert get(of(make_model(), "drift")).json()["state"] == "not_evaluated"


def test_alerts_say_that_none_are_evaluated(get: Any, version: Any) -> None:
    body = get(of(version.model, "alerts")).json()
    assert (body["evaluated"], body["alerts"]) == (False, [])


@pytest.mark.parametrize("what", ["metrics", "health", "drift", "alerts"])
def test_an_unknown_model_is_not_found(get: Any, what: str) -> None:
    assert get(f"/api/v1/models/nope/{what}").status_code == 404
