"""What an answer of the API server that is no success means."""

from __future__ import annotations

import pytest

from provider.adapters.kube.client import Answer, error_of
from provider.api.conditions import Reason
from provider.errors import Conflict, ProviderError, Terminal, Transient


def failed(status: int, reason: str = "", **details: object) -> ProviderError:
    return error_of(Answer(status, {"message": "no", "reason": reason, "details": details}, retry_after=7), "Secret default/demo")


@pytest.mark.parametrize(
    ("status", "said", "error", "reason"),
    [
        (400, "BadRequest", Terminal, Reason.BAD_REQUEST),
        (401, "Unauthorized", Transient, Reason.API_ERROR),
        (403, "Forbidden", Terminal, Reason.FORBIDDEN),
        (408, "Timeout", Transient, Reason.API_ERROR),
        (409, "Conflict", Conflict, Reason.CONFLICT),
        (409, "AlreadyExists", Conflict, Reason.ALREADY_EXISTS),
        (413, "RequestEntityTooLarge", Terminal, Reason.BAD_REQUEST),
        (422, "Invalid", Terminal, Reason.INVALID),
        (429, "TooManyRequests", Transient, Reason.API_ERROR),
        (500, "InternalError", Transient, Reason.API_ERROR),
        (503, "", Transient, Reason.API_ERROR),
    ],
)
def test_the_status_code_decides_class_and_reason(status: int, said: str, error: type, reason: Reason) -> None:
    """Reasons of the server are many; ours are few and documented."""
    found = failed(status, said)
    assert (error, reason) == (type(found), found.reason)


def test_a_reason_of_the_server_that_is_not_ours_is_told_in_the_message() -> None:
    """It is what people search for."""
    assert "Secret default/demo: no (TooManyRequests)" == failed(429, "TooManyRequests").message
    assert "Secret default/demo: no" == failed(409, "Conflict").message


def test_a_terminating_namespace_is_told_from_a_missing_permission() -> None:
    """Both are HTTP 403; only the causes tell."""
    assert Reason.NAMESPACE_TERMINATING is failed(403, "Forbidden", causes=[{"reason": "NamespaceTerminating"}]).reason


def test_the_wait_that_an_overloaded_server_asks_for_is_kept() -> None:
    """Retry-After, in seconds."""
    error = failed(429)
    assert isinstance(error, Transient)
    assert error.retry_after == 7
