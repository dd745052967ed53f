"""Refusal: why a request is not answered, as a status and a sentence."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP, 400 to 503.
        message: what was expected, what was got, what to do; a sentence that repeats nothing unbounded.
        reason: one word for the metrics.
        retry_after: seconds after which the same request may succeed; None where it will not.
        close: whether the connection is closed, since the rest of the request was not read.
    """

    def __init__(
        self, status: int, message: str, reason: str, *, retry_after: int | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.retry_after = retry_after
        self.close = close
