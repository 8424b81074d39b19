"""The online store: the recent events of each entity, per view version, in Redis.

The events themselves are kept, so adding one twice changes nothing, order of
arrival needs no care, windows are exact at the moment of reading, and a
rebuild may run while events arrive.
"""

from features.online.asks import Approximate, Ask, Fetched, ViewState
from features.online.outcomes import refresh_labels
from features.online.plan import Part, Plan
from features.online.reading import fetch
from features.online.writing import feed

__all__ = [
    "Approximate", "Ask", "Fetched", "Part", "Plan", "ViewState", "feed", "fetch",
    "refresh_labels",
]  # fmt: skip
