"""Host of the conformance kit for this provider: two management clusters with Cluster API and our manager, sharing one place of clusters.

The profiles in conformance/profiles name it; `runtime` is what clusters are made of.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from capi_conformance.management import Access, Clusters
from devenv import capi, engine
from devenv.controlplane import REQUIRED
from devenv.managed import Managed
from hack import release
from hack.tools import find
from provider.adapters.local import components as local


def clusters(runtime: str) -> contextlib.AbstractContextManager[Clusters]:
    """Skips the tests when there is a reason to."""
    reason = "; ".join(filter(None, [find.missing(*dict.fromkeys((*REQUIRED, *local.ALL))), capi.missing()]))
    reason = reason or (engine.missing() if runtime == "kind" else "")
    if reason:
        pytest.skip(reason)
    return _running(runtime)


@contextlib.contextmanager
def _running(runtime: str) -> Iterator[Clusters]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capk-conformance-")))
        artifacts = release.write(folder / "release")
        home = stack.enter_context(Managed.running(folder / "home", artifacts, runtime=runtime))
        home.local.mkdir(parents=True, exist_ok=True)
        away = stack.enter_context(Managed.running(folder / "away", artifacts, runtime=runtime, local=home.local))
        yield Clusters(_access(home), _access(away))


def _access(managed: Managed) -> Access:
    return Access(managed.api.kubeconfig, managed.clusterctl.environment())
