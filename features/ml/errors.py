"""What can be wrong with a definition."""

from collections.abc import Sequence


class DefinitionError(ValueError):
    """A schema or view can't be used; `problems` are (place, sentence) pairs, such as
    ("features.2.window", "must be longer than zero")."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{place}: {text}" for place, text in problems))
        self.problems = tuple(problems)


def shown(name: object) -> str:
    """A name as a definition gives it, for a place or a sentence: short, and printable."""
    if not isinstance(name, str):
        return f"a key that is no text ({type(name).__name__})"
    name = name[:60]
    return name if name.isprintable() else ascii(name)[1:-1]


class ExpressionError(ValueError):
    """An expression doesn't parse; the text is one sentence that quotes the offending part."""
