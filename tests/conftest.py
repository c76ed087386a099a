"""Of all tiers: the rows of the fault table that a test belongs to go into the tier's report, where hack/reliability.py counts them; which
tests the measurement of coverage does not watch; and that no example of a property is measured by the clock.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from hack.reliability import FAULT, FIGURE

Figure = Callable[[str, int], None]

# Tiers run side by side: how long one example takes says nothing of the code. A test as a whole has its timeout.
settings.register_profile("tiers", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [(FAULT, mark.args[0]) for mark in item.iter_markers("fault")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watching every line makes thousands of passes over the same lines three times as long."""
    if item.get_closest_marker("unmeasured") is None:
        return (yield)
    watcher = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(watcher)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Publish a number that a test has counted: figure("kills", 26). Written like a record_property, which warns of strict readers."""
    return lambda name, value: request.node.user_properties.append((f"{FIGURE}{name}", value))
