"""What can go wrong while answering."""

from aegisml.base.errors import NotReady


class NotDeployed(NotReady):
    """The model exists, but no version of it serves."""


class JournalFull(NotReady):
    """The journal is over its quota or the disk is full: no answer without a record."""
