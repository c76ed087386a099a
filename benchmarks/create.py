"""Overhead over plain kind: from apply to usable, against `kind create cluster --wait` with the same configuration.

    python -m benchmarks.create [--pairs 5]           a KINDCluster: apply to Ready
    python -m benchmarks.create --capi [--pairs 3]    a Cluster and its KINDCluster, core manager with webhooks: apply to Available

Side by side in one run: each pair makes the same one-node cluster twice, in turn (the order alternates), so that a machine whose speed
drifts slows both. Then an app is put into each, by the same means (benchmarks/app.py), until it answers: that is what a user waits for.
Needs a container engine with a node image. Budgets, for the median pair: 1.10 times what kind takes; with Cluster API, 3 seconds more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import app, machine
from devenv import capi, engine
from devenv.controlplane import ManagementAPI
from devenv.managed import Managed
from devenv.manager import ManagerProcess
from hack import release
from hack.tools import find

ROOT = Path(__file__).resolve().parent.parent
NAME = "bench-create"
WAIT = "120s"
CONFIG = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"},
}
"""One node, in the networks that the default template asks for (and kind takes by itself)."""


BUDGET = 1.10
ALLOWANCE = {"manager": 0.0, "Cluster API": 3.0}
"""Seconds on top of it."""


@dataclass(frozen=True)
class Created:
    """Seconds from the order: until the cluster is Ready (Available), and until an app in it answers."""

    ready: float
    answers: float


@dataclass(frozen=True)
class Pair:
    plain: Created
    ours: Created

    def excess(self, allowance: float) -> float:
        """Seconds over the budget; negative below it."""
        return self.ours.ready - (BUDGET * self.plain.ready + allowance)


def with_app(ready: float) -> Created:
    """Of the cluster that has just got ready, after this many seconds."""
    return Created(ready, ready + app.seconds_to_answer(f"{NAME}-control-plane"))


def plain(folder: Path, image: str) -> Created:
    """kind alone."""
    kind, kubeconfig, config = find.path("kind"), folder / "plain.kubeconfig", folder / "plain.json"
    config.write_text(json.dumps(CONFIG))
    argv = [kind, "create", "cluster", f"--name={NAME}", f"--image={image}", f"--wait={WAIT}", f"--kubeconfig={kubeconfig}"]
    began = time.monotonic()
    subprocess.run([*argv, f"--config={config}"], check=True, capture_output=True)
    created = with_app(time.monotonic() - began)
    subprocess.run([kind, "delete", "cluster", f"--name={NAME}", f"--kubeconfig={kubeconfig}"], check=True, capture_output=True)
    return created


def through_manager(manager: ManagerProcess, image: str) -> Created:
    """From apply to Ready."""
    obj = {"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1", "kind": "KINDCluster", "metadata": {"name": NAME}}
    began = time.monotonic()
    manager.api.kubectl("apply", "-f", "-", stdin=json.dumps({**obj, "spec": {"image": image}}))
    manager.wait_ready(NAME, 300)
    created = with_app(time.monotonic() - began)
    print_steps(manager)
    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=120s", timeout=130)
    return created


def through_cluster_api(managed: Managed, image: str) -> Created:
    """From apply of the default template to the Cluster's Available."""
    text = managed.generate(NAME, "--kubernetes-version", image.rpartition(":")[2])
    began = time.monotonic()
    managed.apply(text)
    managed.manager.wait_ready(NAME, 300)
    ready = time.monotonic() - began
    managed.wait_available(NAME)
    created = with_app(time.monotonic() - began)
    print_steps(managed.manager)
    print(f"    Ready after {ready:.1f} s, Available after {created.ready:.1f} s")
    managed.api.kubectl("delete", "cluster", NAME, "--timeout=120s", timeout=130)
    return created


def print_steps(manager: ManagerProcess) -> None:
    steps = manager.status(NAME)["lastCreate"]["steps"]
    print("   ", ", ".join(f"{step['name']} {step.get('seconds', 0)} s" for step in steps))


@contextlib.contextmanager
def our_manager(folder: Path, image: str) -> Iterator[Callable[[], Created]]:
    with ManagementAPI.temporary(controller_manager=True) as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")
        manager = ManagerProcess(api, folder / "manager", "--runtime=kind")
        manager.start()
        try:
            yield lambda: through_manager(manager, image)
        finally:
            manager.kill()


@contextlib.contextmanager
def cluster_api(folder: Path, image: str) -> Iterator[Callable[[], Created]]:
    with Managed.running(folder / "managed", release.write(folder / "release"), runtime="kind") as managed:
        yield lambda: through_cluster_api(managed, image)


def measure(pairs: int, folder: Path, what: str) -> Iterator[Pair]:
    image = engine.node_image()
    try:
        with {"manager": our_manager, "Cluster API": cluster_api}[what](folder, image) as create:
            for number in range(pairs):
                if number % 2:
                    ours, theirs = create(), plain(folder, image)
                else:
                    theirs, ours = plain(folder, image), create()
                print(
                    f"pair {number + 1}: kind {theirs.ready:.1f} s, {what} {ours.ready:.1f} s, ratio {ours.ready / theirs.ready:.3f}; "
                    f"app {theirs.answers:.1f} s, {ours.answers:.1f} s, ratio {ours.answers / theirs.answers:.3f}",
                    flush=True,
                )
                yield Pair(theirs, ours)
    finally:
        engine.remove_cluster(NAME)


def report(pairs: list[Pair], what: str) -> bool:
    """Print the figures; whether they are within budget."""
    excess = statistics.median(pair.excess(ALLOWANCE[what]) for pair in pairs)
    print(f"medians of {len(pairs)} pairs, {machine.named()}")
    print(row("ready", what, [(pair.plain.ready, pair.ours.ready) for pair in pairs]))
    print(row("an app answers", what, [(pair.plain.answers, pair.ours.answers) for pair in pairs]))
    budget = f"budget {BUDGET:.2f} x kind + {ALLOWANCE[what]:.0f} s to ready"
    print(f"{budget}: {abs(excess):.1f} s {'over' if excess > 0 else 'below'} it")
    return excess <= 0


def row(until: str, what: str, pairs: list[tuple[float, float]]) -> str:
    """Of pairs of seconds: kind's, ours."""
    theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [mine / plain for plain, mine in pairs]
    return (
        f"{until}: kind {theirs:.1f} s, {what} {ours:.1f} s, "
        f"ratio {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--capi", action="store_true", help="through Cluster API's core manager")
    options = parser.parse_args()
    if reason := engine.missing() or (options.capi and capi.missing()):
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    what = "Cluster API" if options.capi else "manager"
    with tempfile.TemporaryDirectory() as folder:
        within = report(list(measure(options.pairs, Path(folder), what)), what)
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
