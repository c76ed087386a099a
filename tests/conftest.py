"""Of all tiers: the rows of the fault table that a test belongs to go into the tier's report, where hack/reliability.py counts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hack.reliability import FAULT, FIGURE

Figure = Callable[[str, int], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [(FAULT, mark.args[0]) for mark in item.iter_markers("fault")]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Publish a number that a test has counted: figure("kills", 26). Written like a record_property, which warns of strict readers."""
    return lambda name, value: request.node.user_properties.append((f"{FIGURE}{name}", value))
