"""The model card: what a person reads before they trust a version."""

from collections.abc import Mapping
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
    test = metrics["test"]
    data, parts = lineage["dataset"], lineage["split"]
    block = "none" if policy.block is None else f"{policy.block:.4f}"
    precision = "nothing flagged" if test["precision"] is None else f"{test['precision']:.4f}"
    lines = [
        f"# {model}",
        "",
        f"Trained on {_origin(data)} ({data['rows']:,} rows, {data['frauds']:,} fraud,"
        f" SHA-256 `{data['sha256'][:16]}`).",
        f"Split: {parts['method']}, gap {parts['gap_days']:g} days; train {parts['train']:,},"
        f" validation {parts['validation']:,}, test {parts['test']:,} rows.",
        "",
        "| on held-out rows | |",
        "|---|---|",
        f"| AUROC | {test['auroc']:.4f} |",
        f"| average precision | {test['average_precision']:.4f} |",
        f"| precision at {test['threshold']:.4f} | {precision} |",
        f"| recall | {test['recall']:.4f} |",
        f"| F1 | {test['f1']:.4f} |",
        "",
        f"Decisions: review from {policy.review:.4f}, block from {block}. {policy.rule}.",
        "",
        "Inputs: " + ", ".join(f"`{f.name}` ({f.kind})" for f in signature.features) + ".",
    ]
    if data["dropped"]:
        lines += [
            "",
            "Not used: " + ", ".join(f"`{k}` ({v})" for k, v in data["dropped"].items()) + ".",
        ]
    return "\n".join(lines) + "\n"


def _origin(data: Mapping[str, Any]) -> str:
    if "path" in data:
        return f"`{data['path']}`"
    return (
        f"feature set `{data['feature_set']}` of stream `{data['stream']}`,"
        f" events from {data['from']} to {data['to']}, as known when they came"
    )
