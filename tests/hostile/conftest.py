"""The API server of the envtest tier."""

from __future__ import annotations

from tests.envtest.conftest import apiserver, kindclusters

__all__ = ["apiserver", "kindclusters"]
