"""What can go wrong in the registry."""

from aegisml.base.errors import Conflict, NotReady


class VersionInUse(Conflict):
    """The model or version serves traffic, so it can't be taken away."""


class BundleRefused(NotReady):
    """A version's files are missing or are not those that were registered."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"The version's files were refused: {detail}.", retry_after=30)
