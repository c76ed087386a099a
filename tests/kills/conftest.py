"""Real kind on a real engine, as in tests/e2e, whose fixtures these are. A tier of its own because it takes long."""

from __future__ import annotations

import pytest

from devenv import engine
from tests.e2e.conftest import api, manager, pytest_sessionstart

__all__ = ["api", "manager", "pytest_sessionstart"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/kills/" in item.nodeid]
    reason = engine.missing() if here else ""
    for item in here if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))
