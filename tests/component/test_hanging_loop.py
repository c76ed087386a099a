"""A whole manager in a process of its own whose event loop hangs: what its probes answer meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.observability.health import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
MANAGER = """
    import asyncio, sys
    from provider.api.meta import ObjectKey
    from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
    from provider.controller.result import Result
    from provider.controllers import Entry
    from provider.observability import logformat
    from provider.ports.runtime import Endpoint
    from tests.fakes.managing import Bench

    class Blocking:
        watches, streams = (), ()

        async def reconcile(self, key):
            sys.stdin.readline()  # the loop hangs until the test writes a line
            return Result()

    async def main():
        logformat.set_up("json", "info")
        bench = Bench(entries=(Entry(KINDCLUSTERS, (), lambda _: Blocking()),))
        manager = bench.manager(health_addr=Endpoint("127.0.0.1", 0))
        running = asyncio.create_task(manager.run())
        await asyncio.to_thread(sys.stdin.readline)
        manager.controllers[0].queue.add(ObjectKey("default", "blocks"))
        await running

    asyncio.run(main())
"""


@pytest.fixture
def manager() -> Iterator[subprocess.Popen[str]]:
    """Killed at the end; its log is its stderr."""
    argv = [sys.executable, "-c", textwrap.dedent(MANAGER)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def get(address: str, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=PATIENCE + 5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.fault(8, "the manager's event loop hangs", invariants="I14")
def test_probes_say_where_a_loop_hangs_and_pass_again_when_it_goes_on(manager: subprocess.Popen[str]) -> None:
    """Within the probes' own timeout: 503 with the worker and the line; nothing remembers it afterwards."""
    assert manager.stdin is not None
    assert manager.stderr is not None
    address = next(line["address"] for line in map(json.loads, manager.stderr) if line["msg"] == "Listening")
    assert get(address, "/healthz")[0] == 200

    print(file=manager.stdin, flush=True)
    while (answer := get(address, "/healthz"))[0] == 200:
        pass  # it was asked before the pass began
    status, text = answer
    assert status == 503
    assert text.startswith("[-] event loop: hangs for more than 2 s, in kindcluster worker ")
    assert "provider/controller/controller.py:" in text

    print(file=manager.stdin, flush=True)
    assert get(address, "/healthz") == (200, "[+] watch\n[+] workers\n[+] reconcile\n")
