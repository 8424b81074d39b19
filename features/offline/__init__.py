"""The offline store: features as of past moments.

DuckDB reads the log, sorts it by entity (out of memory when it must) and
streams it; `ml.windows` computes whole entities at a time. What is asked about
is either every event of a stretch of time or a table of moments.
"""

from features.offline.building import (
    Again,
    Built,
    at_moments,
    backfill,
    backfill_to,
    served_again,
    training_set,
)

__all__ = [
    "Again", "Built", "at_moments", "backfill", "backfill_to", "served_again", "training_set",
]  # fmt: skip
