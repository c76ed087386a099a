"""The errors, by reaction: the class says what the caller does next, not where the error came from.

    ProviderError
    ├── Transient     may go away by itself: retry with backoff
    ├── Terminal      only a changed spec can help: report, stop until the next generation
    ├── Conflict      the object changed since it was read: read again and retry at once
    └── NotOurs       it exists and belongs to somebody else: never change it, wait, report

Every error carries a Reason, which conditions and Events show, and a message for the person who applied the object: what happened,
and what to do next. Messages never hold secrets, the environment of commands or whole objects.
"""

from __future__ import annotations

from provider.api.conditions import Reason


class ProviderError(Exception):
    """Base of every error this project raises on purpose."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reason={str(self.reason)!r}, message={self.message!r})"


class Transient(ProviderError):
    """A retry may help: engine not answering, API server busy, a deadline passed."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds to wait at least, as the server asked (HTTP Retry-After)."""
        super().__init__(reason, message)
        self.retry_after = retry_after


class Terminal(ProviderError):
    """A retry cannot help until the object's spec changes: bad config, an image that does not exist."""


class Conflict(ProviderError):
    """The write was refused because the object changed since it was read (HTTP 409)."""


class NotOurs(ProviderError):
    """What has this name does not carry our ownership mark; it must not be adopted, changed or deleted."""
