"""Prometheus counters of the scoring path. No label ever holds a caller's value."""

from prometheus_client import Counter, Histogram

PREDICTIONS = Counter(
    "aegisml_predictions_total", "Predictions answered", ["model", "version", "decision"]
)
LATENCY = Histogram(
    "aegisml_predict_seconds",
    "Time from the request's arrival to the answer, per request",
    ["model", "version"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
REFUSED = Counter("aegisml_predict_refused_total", "Requests refused, by kind", ["kind"])
SHIPPED = Counter("aegisml_journal_shipped_total", "Journal records shipped to the database")
TORN = Counter("aegisml_journal_torn_total", "Half-written last lines skipped")
