"""The manager as a real process against a real API server: start, signals, two of them, and what people get to read."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.apiproxy import APIProxy
from devenv.controlplane import ManagementAPI
from devenv.manager import ManagerProcess
from provider.controller.leaderelection import LEASE_NAME, LEASE_SECONDS, RETRY_SECONDS

CRDS = Path(__file__).parents[2] / "config" / "crd" / "bases"
ANY_PORT = ("--health-addr=127.0.0.1:0", "--diagnostics-address=127.0.0.1:0")
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{LEASE_NAME}"
Make = Callable[..., ManagerProcess]


@pytest.fixture(scope="module")
def management(apiserver: ManagementAPI) -> ManagementAPI:
    apiserver.kubectl("apply", "-f", str(CRDS))
    apiserver.kubectl("wait", "--for=condition=Established", "crd", "--all")
    return apiserver


@pytest.fixture
def make(management: ManagementAPI, tmp_path: Path) -> Iterator[Make]:
    made: list[ManagerProcess] = []

    def make(*flags: str, name: str = "one", environ: dict[str, str] | None = None) -> ManagerProcess:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(ManagerProcess(management, folder, *ANY_PORT, *flags, environ=environ))
        return made[-1]

    yield make
    for manager in made:
        manager.kill()
    management.request("DELETE", LEASE)


def until(done: Callable[[], object], seconds: float = 20.0, what: object = "") -> float:
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def address(manager: ManagerProcess, page: str) -> str:
    """Where a page is, from the log."""
    until(lambda: page in manager.log, what=manager.log)
    found = re.search(rf"Listening address=(\S+) pages=.*{page}", manager.log)
    assert found, manager.log
    return f"http://{found[1]}{page}"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of our own on loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ready(manager: ManagerProcess) -> bool:
    return get(address(manager, "/readyz"))[0] == 200


def works(manager: ManagerProcess) -> bool:
    """It holds the Lease (a manager that stands by is ready, too) and hears of everything."""
    return leads(manager) and ready(manager)


def leads(manager: ManagerProcess) -> bool:
    return "capkind_leader 1.0" in get(address(manager, "/metrics"))[1]


def test_a_manager_gets_ready_and_shows_its_state(make: Make) -> None:
    """Health, readiness and metrics; its state folder is private."""
    manager = make()
    manager.start()
    until(lambda: works(manager), what=manager.log)

    assert get(address(manager, "/healthz")) == (200, "[+] watch\n[+] workers\n[+] reconcile\n")
    status, metrics = get(address(manager, "/metrics"))
    assert status == 200
    assert 'capkind_queue_depth{controller="kindcluster"} 0.0' in metrics
    assert (manager.folder / "state").stat().st_mode & 0o777 == 0o700
    assert "Traceback" not in manager.log


@pytest.mark.fault(4, "SIGTERM and SIGINT to a real manager", invariants="I14")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_in_time(make: Make, number: signal.Signals) -> None:
    """Exit code 0, no child left, the Lease given back, nothing left in its scratch folder."""
    manager = make()
    manager.start()
    until(lambda: works(manager))
    process = manager._process
    assert process is not None
    os.kill(process.pid, number)

    assert process.wait(10) == 0
    assert manager.api.request("GET", LEASE)[1]["spec"]["holderIdentity"] == ""
    assert list((manager.folder / "state" / "scratch").glob("login/*")) == []
    assert "Traceback" not in manager.log


@pytest.mark.fault(11, "the API server hangs", invariants="I14")
def test_an_api_server_that_hangs_does_not_delay_the_end(make: Make, management: ManagementAPI) -> None:
    """Requests under way are given up."""
    with APIProxy(management) as proxy:
        manager = make(f"--kubeconfig={proxy.kubeconfig}")
        manager.start()
        until(lambda: works(manager), what=manager.log)
        proxy.hang()

        assert manager.stop() < 10


def test_a_second_manager_on_one_state_folder_says_who_is_in_its_way(make: Make) -> None:
    """And ends at once with an error."""
    first, second = make(), make()
    first.start()
    until(lambda: works(first))
    pid = first.pid
    second.flags = (*second.flags, "--leader-elect=false")
    second.start()
    assert second._process is not None

    assert second._process.wait(10) == 1
    assert f"pid {pid}" in second.log
    assert "--state-dir" in second.log


@pytest.mark.fault(5, "two real managers", invariants="I4")
def test_of_two_managers_one_works_and_the_other_takes_over(make: Make) -> None:
    """After SIGTERM at the next try; after SIGKILL when the Lease has run out."""
    one, two, three = make(name="one"), make(name="two"), make(name="three")
    one.start()
    until(lambda: leads(one), what=one.log)
    two.start()
    until(lambda: ready(two), what=two.log)
    assert not leads(two)

    one.stop()
    assert until(lambda: leads(two), 10.0, two.log) < 6

    three.start()
    until(lambda: ready(three), what=three.log)
    two.kill()
    assert until(lambda: leads(three), 30.0, three.log) < 22


def test_a_killed_manager_takes_its_own_lease_back_at_once(make: Make) -> None:
    """A crash costs a restart, not a Lease's length."""
    manager = make()
    manager.start()
    until(lambda: leads(manager))
    manager.kill()
    (manager.folder / "manager.log").unlink()
    began = time.monotonic()
    manager.start()
    until(lambda: "Listening" in manager.log and leads(manager))

    assert time.monotonic() - began < LEASE_SECONDS - RETRY_SECONDS


def test_an_address_in_use_is_said_in_one_line(make: Make) -> None:
    """With the flag to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        manager = make(f"--health-addr=127.0.0.1:{taken.getsockname()[1]}")
        manager.start()
        assert manager._process is not None

        assert manager._process.wait(15) == 1
    assert "another program listens there" in manager.log
    assert "--health-addr" in manager.log
    assert "Traceback" not in manager.log


def test_an_unusable_kubeconfig_is_said_in_one_line(make: Make, tmp_path: Path) -> None:
    """Not an outage, not a traceback."""
    manager = make(f"--kubeconfig={tmp_path / 'no-such-file'}")
    manager.start()
    assert manager._process is not None

    assert manager._process.wait(15) == 1
    assert "no-such-file" in manager.log
    assert "Traceback" not in manager.log


def test_a_bad_flag_is_said_in_one_line(make: Make) -> None:
    """Exit code 2, as everywhere."""
    manager = make("--sync-period=often")
    manager.start()
    assert manager._process is not None

    assert manager._process.wait(15) == 2
    assert "--sync-period" in manager.log


@pytest.mark.fault(11, "the API server is away at the start and later", invariants="I14 I1")
def test_an_api_server_that_is_away_is_waited_for(make: Make, management: ManagementAPI) -> None:
    """Alive and not ready; ready when it comes; alive through the next outage."""
    with APIProxy(management) as proxy:
        proxy.answer(503)
        manager = make(f"--kubeconfig={proxy.kubeconfig}", "--leader-elect=false")
        manager.start()
        until(lambda: get(address(manager, "/healthz"))[0] == 200, what=manager.log)
        assert not ready(manager)

        proxy.answer(None)
        until(lambda: ready(manager), 40.0, manager.log)

        proxy.answer(503)
        proxy.cut()
        proxy.wait_for_requests(len(proxy.seen) + 10)
        assert get(address(manager, "/healthz"))[0] == 200
        proxy.answer(None)
        assert "Traceback" not in manager.log


@pytest.mark.fault(40, "an idle manager", invariants="I8")
def test_without_objects_and_lease_nothing_is_written(make: Make, management: ManagementAPI) -> None:
    """An idle manager only reads."""
    with APIProxy(management) as proxy:
        manager = make(f"--kubeconfig={proxy.kubeconfig}", "--leader-elect=false")
        manager.start()
        until(lambda: works(manager), what=manager.log)
        proxy.wait_for_requests(len(proxy.seen))
        manager.stop()

        assert {seen.method for seen in proxy.seen} == {"GET"}


def test_the_users_own_kubeconfig_is_not_touched(make: Make) -> None:
    """Its home is left as it was."""
    manager = make()
    manager.start()
    until(lambda: works(manager), what=manager.log)
    manager.stop()

    assert sorted(path.name for path in manager.home.iterdir()) == []


def test_json_logs_are_json(make: Make) -> None:
    """Every line, from the first to the last."""
    manager = make("--log-format=json", "--leader-elect=false")
    manager.start()
    until(lambda: "Working" in manager.log, what=manager.log)
    manager.stop()
    lines = [json.loads(line) for line in manager.log.splitlines() if line]

    assert all({"ts", "level", "msg"} <= set(line) for line in lines)
    assert {"Working", "Ending"} <= {line["msg"] for line in lines}
