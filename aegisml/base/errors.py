"""What can go wrong, as nouns. The edges own the status codes (`api.problems`)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One wrong field: its name as the caller wrote it, and a sentence about it."""

    field: str
    message: str


class AegisError(Exception):
    """Base of the errors that a caller may see; `detail` is safe to show."""

    def __init__(self, detail: str, *, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class Invalid(AegisError):
    """The request is wrong; `errors` name the fields."""

    @classmethod
    def fields(cls, errors: Iterable[FieldError]) -> "Invalid":
        found = tuple(errors)
        return cls("; ".join(f"{e.field}: {e.message}" for e in found), errors=found)

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls.fields([FieldError(field, message)])


class Unauthenticated(AegisError):
    """No token, or one that can't be trusted."""


class Forbidden(AegisError):
    """The caller's role doesn't allow this."""


class NotFound(AegisError):
    """There is no such thing, or the caller may not know of it."""


class Conflict(AegisError):
    """The thing's present state doesn't allow this."""


class TooLarge(AegisError):
    """The body is over the limit."""


class Retryable(AegisError):
    """May work later; `retry_after` says when, in whole seconds."""

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Throttled(Retryable):
    """The caller asked too often."""


class NotReady(Retryable):
    """We can't answer now."""


class Transient(Retryable):
    """Something of ours failed for the moment: a worker tries again by itself."""
