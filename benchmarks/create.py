"""Overhead over plain kind: apply to Ready through the manager, against `kind create cluster --wait` with the same configuration.

    python -m benchmarks.create [--pairs 5]

Side by side in one run, as ratios: each pair makes the same one-node cluster twice, in turn (the order alternates), so that a machine
whose speed drifts slows both. Needs a container engine with a node image. Budget: the median ratio is at most 1.10.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.harness import engine, tools
from tests.harness.controlplane import ManagementAPI
from tests.harness.manager import ManagerProcess

ROOT = Path(__file__).resolve().parent.parent
NAME = "bench-create"
WAIT = "120s"
BUDGET = 1.10


def plain(folder: Path, image: str) -> float:
    """Seconds of kind alone."""
    kind, kubeconfig = tools.find("kind"), folder / "plain.kubeconfig"
    began = time.monotonic()
    argv = [kind, "create", "cluster", f"--name={NAME}", f"--image={image}", f"--wait={WAIT}", f"--kubeconfig={kubeconfig}"]
    subprocess.run(argv, check=True, capture_output=True)
    took = time.monotonic() - began
    subprocess.run([kind, "delete", "cluster", f"--name={NAME}", f"--kubeconfig={kubeconfig}"], check=True, capture_output=True)
    return took


def through_manager(manager: ManagerProcess, image: str) -> float:
    """Seconds from apply to Ready."""
    obj = {"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1", "kind": "KINDCluster", "metadata": {"name": NAME}}
    began = time.monotonic()
    manager.api.kubectl("apply", "-f", "-", stdin=json.dumps({**obj, "spec": {"image": image}}))
    manager.wait_ready(NAME, 300)
    took = time.monotonic() - began
    steps = manager.status(NAME)["lastCreate"]["steps"]
    print("   ", ", ".join(f"{step['name']} {step.get('seconds', 0)} s" for step in steps))
    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=120s")
    return took


def measure(pairs: int, folder: Path) -> list[float]:
    image, ratios = engine.node_image(), []
    with ManagementAPI.temporary(controller_manager=True) as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")
        manager = ManagerProcess(api, folder / "manager", "--runtime=kind")
        manager.start()
        try:
            for number in range(pairs):
                turns = [lambda: plain(folder, image), lambda: through_manager(manager, image)]
                if number % 2:
                    ours, theirs = turns[1](), turns[0]()
                else:
                    theirs, ours = turns[0](), turns[1]()
                ratios.append(ours / theirs)
                print(f"pair {number + 1}: kind {theirs:.1f} s, manager {ours:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
        finally:
            manager.kill()
            engine.remove_cluster(NAME)
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    if reason := engine.missing():
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(pairs, Path(folder))
    median = statistics.median(ratios)
    print(f"median ratio {median:.3f} over {pairs} pairs (min {min(ratios):.3f}, max {max(ratios):.3f}), budget {BUDGET:.2f}")
    return 0 if median <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
