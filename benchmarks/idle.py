"""What a manager costs when nothing happens: CPU of its process and writes to the API server, with many Ready objects.

    python -m benchmarks.idle [--objects 200 2000] [--seconds 300]

One table, a row for each count, and how flat the cost of one object is, from the smallest count to the greatest: begin with so many that
what a manager costs without any does not matter.

The whole manager (kopf's watch, queue, workers, resync, Lease, recorder) runs in a process of its own against a real API server. Only the
container engine and the made clusters' APIs are fakes, as no machine holds so many clusters: the engine's own share, a listing of all
containers per resync, is not in the figure. Budget: under 2 % of one core, and no object's resourceVersion moves.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from devenv import processes
from devenv.controlplane import ManagementAPI, free_port

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "/apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/default/kindclusters"
BUDGET_PERCENT = 2.0
FLAT = 1.2
"""Times that one object may cost more among many than among few."""
SETTLE_SECONDS = 10.0
READY_SECONDS = 300.0
PASSES = re.compile(r'^capkind_reconciles_total\{.*controller="kindcluster".*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """Of one manager with so many objects at rest."""

    objects: int
    ready_seconds: float
    """From the first object's POST until all are Ready."""
    percent: float
    """Of one core."""
    mebibytes: float
    passes: float
    """A minute, of each object."""
    written: int
    """Objects whose resourceVersion moved."""

    @property
    def milliseconds(self) -> float:
        """CPU of one object a minute."""
        return self.percent / 100 * 60_000 / self.objects


def run_manager(kubeconfig: str, state: str, address: str) -> int:
    """The child: a manager whose runtime and workload probe are fakes."""
    from provider import controllers, main, settings
    from provider.adapters import state_dir
    from provider.manager import Manager
    from tests.fakes.runtime import FakeRuntime
    from tests.fakes.workload import FakeWorkload

    chosen = settings.load(
        [f"--kubeconfig={kubeconfig}", f"--state-dir={state}", "--health-addr=0", f"--diagnostics-address={address}"]
    )
    state_dir.prepare(chosen.state_dir)

    async def run() -> int:
        async with main.connect(chosen) as parts:
            runtime = FakeRuntime()
            faked = dataclasses.replace(parts, runtimes={"kind": runtime}, workload=FakeWorkload(runtime))
            return await Manager(chosen, faked, controllers.build).run()

    return asyncio.run(run())


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (/proc/<pid>/stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def versions(api: ManagementAPI) -> dict[str, str]:
    items = api.request("GET", COLLECTION)[1]["items"]
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


def ready(api: ManagementAPI) -> int:
    return sum(1 for item in api.request("GET", COLLECTION)[1]["items"] if (item.get("status") or {}).get("ready"))


def passes(address: str) -> float:
    """So far, of all objects."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return sum(float(value) for value in PASSES.findall(answer.read().decode()))


def measure(objects: int, seconds: float, folder: Path) -> Cost:
    address = f"127.0.0.1:{free_port()}"
    with ManagementAPI.temporary() as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")
        argv = [sys.executable, "-m", "benchmarks.idle", "--child", str(api.kubeconfig), str(folder / "state"), address]
        child = processes.start("manager", argv, folder, environ={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            began = time.monotonic()
            for number in range(objects):
                obj = {
                    "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
                    "kind": "KINDCluster",
                    "metadata": {"name": f"c{number}"},
                }
                api.request("POST", COLLECTION, {**obj, "spec": {}})
            while ready(api) < objects:
                if time.monotonic() - began > READY_SECONDS:
                    raise SystemExit(f"only {ready(api)} of {objects} Ready: {(folder / 'manager.log').read_text()[-3000:]}")
                time.sleep(0.2)
            made = time.monotonic() - began
            time.sleep(SETTLE_SECONDS)
            before, looked, used, start = versions(api), passes(address), cpu_seconds(child.pid), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - start
            percent = 100 * (cpu_seconds(child.pid) - used) / took
            looked = (passes(address) - looked) / objects / took * 60
            written = sum(1 for name, version in versions(api).items() if before[name] != version)
            return Cost(objects, made, percent, resident_mib(child.pid), looked, written)
        finally:
            child.kill()


def table(costs: Sequence[Cost]) -> str:
    lines = [
        f"{'objects':>8} {'all Ready s':>12} {'% of a core':>12} {'ms/object/min':>14} {'MiB':>6} {'passes/object/min':>18} {'written':>8}"
    ]
    lines += [
        f"{cost.objects:>8} {cost.ready_seconds:>12.1f} {cost.percent:>12.2f} {cost.milliseconds:>14.2f} {cost.mebibytes:>6.0f} "
        f"{cost.passes:>18.2f} {cost.written:>8}"
        for cost in costs
    ]
    return "\n".join(lines)


def flatness(costs: Sequence[Cost]) -> float:
    """CPU of one object among the most, against one among the fewest."""
    fewest, most = min(costs, key=lambda cost: cost.objects), max(costs, key=lambda cost: cost.objects)
    return most.milliseconds / fewest.milliseconds if fewest.milliseconds else 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[50])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--child", nargs=3, metavar=("KUBECONFIG", "STATE", "ADDRESS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return run_manager(*arguments.child)
    costs = []
    for objects in arguments.objects:
        with tempfile.TemporaryDirectory() as folder:
            costs.append(measure(objects, arguments.seconds, Path(folder)))
        print(table(costs[-1:]), flush=True)
    print(f"\n{machine.named()}, {arguments.seconds:.0f} s each\n{table(costs)}")
    print(
        f"budget: {BUDGET_PERCENT:.0f} % of a core, no object written; an object costs {flatness(costs):.2f} times as much, budget {FLAT}"
    )
    within = all(cost.percent <= BUDGET_PERCENT and cost.written == 0 for cost in costs)
    return 0 if within and flatness(costs) <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
