"""What a caller can do wrong, in the words the caller reads.

Services raise these; one exception handler (`automette.lib.http`) turns `code` into a status. A message is a
sentence for the person who can act on it, and never names another team's data.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal with a code, a sentence, and optionally more keys for the answer's body."""

    code: ClassVar[str]

    def __init__(self, message: str, *, detail: str | None = None, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.extra = extra or {}


class MalformedRequestError(DomainError):
    """The body cannot be read, or a required field is missing."""

    code = "malformed_request"


class InvalidValueError(DomainError):
    """A field is there and its value is not allowed."""

    code = "invalid_value"


class NotFoundError(DomainError):
    """It does not exist, or belongs to another team: the two answers are the same bytes."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("Not found.")


class TooLargeError(DomainError):
    """A template or file is above its size limit."""

    code = "too_large"


class TooEarlyError(DomainError):
    """The file is asked for before the render has finished."""

    code = "too_early"


class ConflictError(DomainError):
    """It cannot be done in the state that something is in."""

    code = "conflict"


class RateLimitedError(DomainError):
    """The team asks for too much at once; after `retry_after` seconds (at least 1) the same call may succeed."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.retry_after = max(1, retry_after)


class IdempotencyConflictError(DomainError):
    """An Idempotency-Key stands for another request, or (then with `retry_after`) for one that is being answered."""

    code = "idempotency_conflict"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
