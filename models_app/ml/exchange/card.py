"""The model card of what was imported: it says what nobody here knows."""

from collections.abc import Mapping
from typing import Any

import orjson

from models_app.ml.signature import Signature


def write(
    model: str, imported: Mapping[str, Any], signature: Signature, files: Mapping[str, bytes]
) -> str:
    """The card as Markdown."""
    policy = orjson.loads(files["policy.json"])
    block = "none" if policy["block"] is None else f"{policy['block']:.4f}"
    lines = [
        f"# {model}",
        "",
        f"Imported from `{_code(imported['file'])}` ({imported['format']}, SHA-256"
        f" `{imported['sha256'][:16]}`).",
        "",
        "**Nothing here measured it**: the data it was trained on, its quality and its limits are"
        " not known to this registry.",
        "",
        f"Decisions: review from {policy['review']:.4f}, block from {block}. {policy['rule']}.",
        "",
        "Inputs: " + ", ".join(f"`{_code(f.name)}` ({f.kind})" for f in signature.features) + ".",
    ]
    lines += ["", *(f"- {note}" for note in imported["notes"])] if imported["notes"] else []
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Text that can't end the code span that it stands in."""
    return text.replace("`", "'")
