"""The model card: what a person reads before they trust a version."""

from collections.abc import Mapping, Sequence
from typing import Any

from models_app.ml.policy import Policy
from models_app.ml.signature import Signature


def write(
    model: str,
    metrics: Mapping[str, Any],
    lineage: Mapping[str, Any],
    signature: Signature,
    policy: Policy,
) -> str:
    """The card as Markdown."""
    data, parts = lineage["dataset"], lineage["split"]
    frauds = "no labels" if data["frauds"] is None else f"{data['frauds']:,} fraud"
    lines = [
        f"# {model}",
        "",
        f"Trained on {_origin(data)} ({data['rows']:,} rows, {frauds},"
        f" SHA-256 `{data['sha256'][:16]}`).",
        f"Split: {parts['method']}, gap {parts['gap_days']:g} days; train {parts['train']:,},"
        f" validation {parts['validation']:,}, test {parts['test']:,} rows.",
        "",
        *_table(metrics.get("test")),
        *_calibration(metrics.get("calibration")),
        f"Decisions: review from {policy.review:.4f}, block from"
        f" {'none' if policy.block is None else f'{policy.block:.4f}'}. {policy.rule}.",
        "",
        "Inputs: " + ", ".join(f"`{f.name}` ({f.kind})" for f in signature.features) + ".",
        *_importance(metrics.get("importance", [])),
    ]
    notes = [*data.get("notes", []), *parts.get("notes", [])]
    if notes:
        lines += ["", "Notes:", "", *(f"- {note}" for note in notes)]
    if data["dropped"]:
        lines += [
            "",
            "Not used: " + ", ".join(f"`{k}` ({v})" for k, v in data["dropped"].items()) + ".",
        ]
    return "\n".join(lines) + "\n"


def _table(test: Mapping[str, Any] | None) -> list[str]:
    if test is None:
        return ["Nobody knows which rows are fraud: how good it is was not measured.", ""]
    rows = [
        ("AUROC", "auroc"),
        ("average precision", "average_precision"),
        (f"precision at {test['threshold']:.4f}", "precision"),
        ("recall", "recall"),
        ("F1", "f1"),
        ("Brier score", "brier"),
        ("expected calibration error", "ece"),
        ("share of the fraud's money that is caught", "value_weighted_recall"),
        ("card precision@100", "card_precision_at_100"),
    ]
    return [
        "| on held-out rows | | 95 % interval |",
        "|---|---|---|",
        *(
            f"| {title} | {_number(test[name])} | {_ends(test['intervals'].get(name))} |"
            for title, name in rows
            if test.get(name) is not None or name == "precision"
        ),
        "",
    ]


def _number(value: float | None) -> str:
    return "nothing flagged" if value is None else f"{value:.4f}"


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _calibration(found: Mapping[str, Any] | None) -> list[str]:
    if found is None or found["method"] == "none":
        return []
    return [
        f"Calibrated ({found['method']}): expected calibration error {found['ece_before']:.4f}"
        f" before, {found['ece_after']:.4f} after, on validation rows.",
        "",
    ]


def _importance(shares: Sequence[Sequence[Any]]) -> list[str]:
    if not shares:
        return []
    first = ", ".join(f"`{name}` {share:.0%}" for name, share in shares[:10])
    return ["", f"What moves its scores most: {first}."]


def _origin(data: Mapping[str, Any]) -> str:
    if "path" in data:
        return f"`{data['path']}`"
    return (
        f"feature set `{data['feature_set']}` of stream `{data['stream']}`,"
        f" events from {data['from']} to {data['to']}, as known when they came"
    )
