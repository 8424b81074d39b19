"""What is wrong with a file that somebody brings."""


class Refused(ValueError):
    """The file or what was said about it can't be taken; `field` names which of the two."""

    def __init__(self, text: str, *, field: str = "file") -> None:
        super().__init__(text)
        self.field = field
        self.text = text
