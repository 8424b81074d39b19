"""The event log: each event once, in the order of arrival, sealed into Parquet by day.

New events are rows of `HotEvent`; `seal` moves those that the online store has
into files. A file counts from the moment that an `EventSegment` names it, in
the transaction that deletes its rows: a process that is killed at any point
leaves a file that nobody reads, and loses or doubles nothing.

`files` and `sealing` load pyarrow, which who only logs events does without: they are imported by
their own names.
"""

from features.log.appending import Appended, append, mark_online, waiting
from features.log.events import Logged

__all__ = ["Appended", "Logged", "append", "mark_online", "waiting"]
