"""One prediction, wherever it is now: in the table, or still in this machine's journal."""

from pathlib import Path
from uuid import UUID

from inference import journal
from inference.jobs import row_of
from inference.models import Prediction


def find(identifier: UUID, *, journal_root: Path) -> Prediction | None:
    """The prediction with this id, or None."""
    rows = Prediction.objects.select_related("model", "version")
    stored = rows.find(identifier)
    if stored is not None:
        return stored
    record = journal.find(journal_root, str(identifier))
    if record is None:
        return None
    # shipped and deleted between the two looks: the table has it now
    return rows.find(identifier) or Prediction(**row_of(record))
