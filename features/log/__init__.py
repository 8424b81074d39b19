"""The event log: each event once, in the order of arrival, sealed into Parquet by day.

New events are rows of `HotEvent`; `seal` moves those that the online store has
into files. A file counts from the moment that an `EventSegment` names it, in
the transaction that deletes its rows: a process that is killed at any point
leaves a file that nobody reads, and loses or doubles nothing.
"""

from features.log.appending import Appended, append, mark_online, waiting
from features.log.events import Logged
from features.log.files import clear_leftovers
from features.log.sealing import compact, seal, snapshot

__all__ = [
    "Appended", "Logged", "append", "clear_leftovers", "compact", "mark_online", "seal",
    "snapshot", "waiting",
]  # fmt: skip
