"""What engines' words mean when no kind is between: commands about containers, and pulls."""

from __future__ import annotations

import pytest

from provider.adapters.engine import errors
from provider.adapters.kind import errors as kind_errors
from provider.adapters.process.command import CommandFailed, CommandTimeout
from provider.api.conditions import Reason
from provider.errors import Terminal, Transient


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "EngineUnreachable"),
        ("Error: Bind for 0.0.0.0:80 failed: port is already allocated", "PortInUse"),
        ("Error response from daemon: something new", "EngineFailed"),
    ],
)
def test_an_engine_that_fails_is_never_the_specs_fault(tail: str, reason: str) -> None:
    """All of it may go away by itself."""
    error = errors.engine_failure(CommandFailed(Reason.COMMAND_FAILED, "x", tail=tail), "docker")

    assert (Transient, reason) == (type(error), error.reason)


@pytest.mark.fault(21, "nobody listens at the engine's socket (stub)", invariants="I7")
def test_a_silent_engine_is_unreachable() -> None:
    """A passed deadline says nothing about what exists."""
    error = errors.engine_failure(CommandTimeout(Reason.COMMAND_TIMEOUT, "docker ps did not end"), "docker")

    assert "EngineUnreachable" == error.reason


@pytest.mark.parametrize(
    ("output", "kind", "reason"),
    [
        ("Error response from daemon: manifest for kindest/node:v9 not found: manifest unknown", Terminal, "ImageNotFound"),
        ("Error response from daemon: toomanyrequests: You have reached your pull rate limit.", Transient, "ImagePullFailed"),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", Transient, "EngineUnreachable"),
        ("write /var/lib/docker/x: no space left on device", Transient, "DiskFull"),
    ],
)
def test_a_failed_pull_names_the_image_or_the_host(output: str, kind: type[Exception], reason: str) -> None:
    """Only an image that its registry does not have is the spec's fault."""
    error = errors.pull_failure("kindest/node:v9", output)

    assert (kind, reason) == (type(error), error.reason)
    assert "Image kindest/node:v9 is not on the engine" in error.message or not reason.startswith("Image")


def test_every_group_of_rows_is_looked_at() -> None:
    """A row that is in no table would never be found: kind's table has all of the engine's, in the same order."""
    engines = [row for row in kind_errors.RULES if row in errors.RULES]

    assert list(errors.RULES) == engines
