"""What the commands of training show on a terminal, and what they end with."""

from typing import Any

from django.core.management.base import OutputWrapper

FAILED, BAD_REQUEST, LEAK_SUSPECTED, INTERRUPTED = 1, 2, 3, 130  # exit statuses
WIDTH = 30


class Bar:
    """A bar on a terminal; elsewhere a plain line for each step and tenth."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._is_terminal = bool(out.isatty())
        self._told: tuple[str, int] = ("", -1)
        self._is_drawn = False

    def show(self, percent: int, text: str) -> None:
        if self._is_terminal:
            full = WIDTH * percent // 100
            bar = "#" * full + "." * (WIDTH - full)
            self._out.write(f"\r[{bar}] {percent:3}% {text[:80]}\x1b[K", ending="")
            self._out.flush()
            self._is_drawn = True
            return
        told = (text.partition(":")[0], percent // 10)
        if told != self._told:
            self._told = told
            self._out.write(f"{percent:3}% {text}")
            self._out.flush()

    def end(self) -> None:
        if self._is_drawn:
            self._out.write("")


def metric_lines(found: dict[str, Any]) -> list[str]:
    """Metrics as lines of a table: name, value, 95 % interval."""
    names = (
        "auroc", "average_precision", "precision", "recall", "f1", "brier", "ece", "threshold",
        "value_weighted_recall", "card_precision_at_100",
    )  # fmt: skip
    sure = found.get("intervals", {})
    lines = []
    for name in names:
        if found.get(name) is None:
            continue
        low_high = sure.get(name)
        between = f"   {low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else ""
        lines.append(f"  {name:<22} {found[name]:>8.4f}{between}")
    lines += [f"  precision at {k:<9} {v:>8.4f}" for k, v in found.get("precision_at", {}).items()]
    capacity = found.get("recall_at_alerts_per_day")
    if capacity:
        name = f"recall at {capacity['alerts_per_day']} a day"
        lines.append(f"  {name:<22} {capacity['recall']:>8.4f}")
    lines.append(f"  {'rows':<22} {found['rows']:>8,}, {found['frauds']:,} fraud")
    return lines
