"""Why a training ends early."""


class TrainingError(Exception):
    """The data or the request can't be trained on; `field` names the column or parameter."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Cancelled(Exception):
    """Somebody asked the job to stop, and it did."""
