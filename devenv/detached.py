"""What `make demo` and `make capi-up` leave running after the command that started it: a management API, a manager, in one private folder.

Here is what both share. What they start beside it, and what they print, is theirs (demo.py, playground.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from devenv import processes
from devenv.controlplane import ManagementAPI, StartFailed
from hack.tools import find

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0
DELETE_SECONDS = 120.0
READY_MESSAGES = r'jsonpath={range .items[*]}{.metadata.name}: {.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}'
FOLDERS = {"demo": "cluster-api-provider-kind-demo", "playground": "cluster-api-provider-kind-capi"}
"""Names of the folders below the user's state folder ($XDG_STATE_HOME, else ~/.local/state)."""


class Failed(Exception):
    """The command cannot go on; the message says what to do."""


class DetachedManager:
    """Our manager: at most one process, found again through the record in its folder."""

    def __init__(self, folder: Path, api: ManagementAPI) -> None:
        self.folder, self._api = folder / "manager", api
        self._state = folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "manager.log"

    @property
    def running(self) -> bool:
        return bool(processes.records(self.folder))

    def start(self, *flags: str) -> None:
        """With the tools of the cache first on its PATH. No-op while it runs."""
        if self.running:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        environ = {**os.environ, "PATH": find.search_path(), "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "provider", f"--kubeconfig={self._api.kubeconfig}", f"--state-dir={self._state}"]
        argv += ["--health-addr=0", "--diagnostics-address=0", *flags]
        processes.start("manager", argv, self.folder, detached=True, environ=environ)

    def stop(self) -> None:
        """SIGTERM; what is left after 15 seconds is killed."""
        for pid, started in processes.records(self.folder).values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + STOP_SECONDS
            while processes.start_time(pid) == started and time.monotonic() < end:
                time.sleep(0.05)
        if self.folder.exists():
            processes.kill_recorded(self.folder)


class Environment:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = ManagementAPI(folder / "api", controller_manager=True, detached=True)
        self.manager = DetachedManager(folder, self.api)

    def delete_clusters(self, *kinds: str) -> None:
        """Through the managers: they alone know what belongs to a cluster. Kind by kind, in this order. Raises Failed."""
        found = self.api.kubectl("get", ",".join(kinds), "-A", "-o", "name", check=False)
        if found.returncode != 0 or not found.stdout.strip():
            return
        self.manager.start()
        print("• deleting the clusters", flush=True)
        for kind in kinds:
            argv = ("delete", kind, "--all", "-A", f"--timeout={DELETE_SECONDS:.0f}s")
            if self.api.kubectl(*argv, check=False, timeout=DELETE_SECONDS + 10).returncode != 0:
                left = self.api.kubectl("get", kind, "-A", "-o", READY_MESSAGES, check=False).stdout.strip()
                raise Failed(f"A cluster could not be deleted; nothing else was removed. {left}")
        print("✓ clusters deleted")

    def remove(self) -> None:
        """End every process and remove every file. Clusters that were not deleted before are lost."""
        self.manager.stop()
        self.api.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        print("✓ every process and file of it is gone")


def run(name: str, verbs: Mapping[str, Callable[[Path], None]], arguments: Sequence[str]) -> int:
    """The command line of `python -m devenv.NAME`: one verb, which gets the folder. One command at a time works on a folder."""
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(f"usage: python -m devenv.{name} {'|'.join(verbs)}", file=sys.stderr)
        return 2
    states = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = states / FOLDERS[name]
    states.mkdir(parents=True, exist_ok=True)
    # Beside the folder, not in it: `down` removes the folder while it holds the lock.
    with (states / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            verbs[arguments[0]](folder)
        except (Failed, StartFailed, find.ToolMissing, AssertionError) as error:
            print(f"✗ {error}", file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as error:
            print(f"✗ {' '.join(map(str, error.cmd))}: {error.stderr}", file=sys.stderr)
            return 1
    return 0
