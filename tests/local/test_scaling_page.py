"""docs/howto/scaling.md on the embedded runtime: its commands, in order, as a reader would type them; and what keeps a worker."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from devenv.controlplane import ManagementAPI
from provider.adapters.local import scaling
from provider.adapters.local.runtime import LocalRuntime
from provider.errors import Transient
from provider.ports.runtime import Workers
from tests.local.conftest import identity, quiet, request
from tests.local.test_documents import DEMO, ROOT, api, commands, environ, eventually, in_background, run
from tests.local.test_local_runtime import NAME, PATIENCE, kubectl, nodes_ready, pods_can_be_made, until

__all__ = ["api", "environ"]
PAGE = ROOT / "docs" / "howto" / "scaling.md"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kept", "labels": {"app": "kept"}},
    "spec": {"nodeName": f"{NAME}-worker2", "containers": [{"name": "main", "image": "example.invalid/none"}]},
}


def test_the_commands_of_the_page_work(environ: dict[str, str], tmp_path: Path, api: ManagementAPI) -> None:
    """Up by the scale subresource, down by an edit; then the deletion finds nothing that stays."""
    environ = {**environ, "KUBECONFIG": str(api.kubeconfig), "TMPDIR": str(tmp_path)}
    run("make install", environ, ROOT)
    manager = in_background("make run", environ, tmp_path / "manager.log")
    try:
        eventually(f"kubectl create -f - <<< '{DEMO}'", environ, ROOT)
        run("kubectl wait --for=condition=Ready --timeout=2m kindcluster/demo", environ, ROOT)
        for command in commands(PAGE)[0]:
            run(command, environ, ROOT)
        status = json.loads(run("kubectl get kindcluster demo -o json", environ, ROOT))["status"]
        assert (1, 1) == (status["workerReplicas"], status["readyWorkerReplicas"])
        run("kubectl delete kindcluster demo --timeout=2m", environ, ROOT)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'manager.log').read_text()[-4000:]}") from error
    finally:
        os.killpg(manager.pid, signal.SIGTERM)
        manager.wait(15)


async def test_a_pod_that_may_not_be_evicted_keeps_its_worker(
    runtime: LocalRuntime, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, with its worker cordoned; wanted again, the worker takes pods; let go, it goes with its pods, and the last one frees the
    control plane.
    """
    monkeypatch.setattr(scaling, "DRAIN_SECONDS", 2.0)
    who, first, second = identity(NAME), f"{NAME}-worker", f"{NAME}-worker2"
    await runtime.create(who, request(NAME, 2), quiet)
    await until(lambda: nodes_ready(runtime, root, 3), PATIENCE, "all nodes Ready")
    await until(lambda: pods_can_be_made(runtime, root), PATIENCE, "the default ServiceAccount")
    (root / "pod.kubeconfig").write_text(json.dumps(POD))
    await kubectl(runtime, root, "create", "-f", str(root / "pod.kubeconfig"))
    await kubectl(runtime, root, "create", "poddisruptionbudget", "kept", "--selector=app=kept", "--min-available=1")

    with pytest.raises(Transient) as caught:
        await runtime.scale(who, Workers(leave=(second, first), last=True), quiet)
    assert "DrainFailed" == caught.value.reason
    assert "default/kept" in caught.value.message
    assert "SchedulingDisabled" in await kubectl(runtime, root, "get", "node", second)
    await runtime.scale(who, Workers(join=(first, second)), quiet)
    assert "SchedulingDisabled" not in await kubectl(runtime, root, "get", "nodes")

    await kubectl(runtime, root, "delete", "poddisruptionbudget", "kept")
    await runtime.scale(who, Workers(leave=(second, first), last=True), quiet)
    assert [f"{NAME}-control-plane"] == [node.name for node in (await runtime.observe(who)).nodes]
    assert "" == await kubectl(runtime, root, "get", "pods", "--output=name")
    assert "" == await kubectl(runtime, root, "get", "nodes", "--output=jsonpath={.items[*].spec.taints}")
    await runtime.delete(who, quiet)
