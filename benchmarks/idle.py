"""What a manager costs when nothing happens: CPU of its process and writes to the API server, with many Ready objects.

    python -m benchmarks.idle [--objects 50] [--seconds 300]

The whole manager (kopf's watch, queue, workers, resync, Lease, recorder) runs in a process of its own against a real API server. Only the
container engine and the made clusters' APIs are fakes, as no machine holds so many clusters: the engine's own share, a listing of all
containers per resync, is not in the figure. Budget: under 2 % of one core, and no object's resourceVersion moves.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

from devenv import processes
from devenv.controlplane import ManagementAPI

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "/apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/default/kindclusters"
BUDGET_PERCENT = 2.0
SETTLE_SECONDS = 10.0
READY_SECONDS = 300.0


def run_manager(kubeconfig: str, state: str) -> int:
    """The child: a manager whose runtime and workload probe are fakes."""
    from provider import controllers, main, settings
    from provider.adapters import state_dir
    from provider.manager import Manager
    from tests.fakes.runtime import FakeRuntime
    from tests.fakes.workload import FakeWorkload

    chosen = settings.load([f"--kubeconfig={kubeconfig}", f"--state-dir={state}", "--health-addr=0", "--diagnostics-address=0"])
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


def measure(objects: int, seconds: float, folder: Path) -> tuple[float, int]:
    """(percent of a core, objects that were written)."""
    with ManagementAPI.temporary() as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")
        argv = [sys.executable, "-m", "benchmarks.idle", "--child", str(api.kubeconfig), str(folder / "state")]
        child = processes.start("manager", argv, folder, environ={**os.environ, "PYTHONPATH": str(ROOT)})
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
        print(f"{objects} objects Ready after {time.monotonic() - began:.1f} s", flush=True)
        time.sleep(SETTLE_SECONDS)
        before, used, start = versions(api), cpu_seconds(child.pid), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (cpu_seconds(child.pid) - used) / (time.monotonic() - start)
        written = sum(1 for name, version in versions(api).items() if before[name] != version)
        print(f"resident memory {resident_mib(child.pid):.0f} MiB")
        child.kill()
        return percent, written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--child", nargs=2, metavar=("KUBECONFIG", "STATE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return run_manager(*arguments.child)
    with tempfile.TemporaryDirectory() as folder:
        percent, written = measure(arguments.objects, arguments.seconds, Path(folder))
    print(
        f"{percent:.2f} % of a core over {arguments.seconds:.0f} s, budget {BUDGET_PERCENT:.0f} %; {written} objects were written, budget 0"
    )
    return 0 if percent <= BUDGET_PERCENT and written == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
