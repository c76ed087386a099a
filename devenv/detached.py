"""A manager that outlives the command that started it, for the demo and the playground: one folder, one process, one log."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from devenv import processes
from devenv.controlplane import ManagementAPI
from hack.tools import cache

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0


class DetachedManager:
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
        path = os.pathsep.join([str(cache.bin_folder()), os.environ["PATH"]])
        environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "provider", f"--kubeconfig={self._api.kubeconfig}", f"--state-dir={self._state}"]
        argv += ["--health-addr=0", "--diagnostics-address=0", *flags]
        processes.start("manager", argv, self.folder, detached=True, environ=environ)

    def stop(self) -> None:
        """SIGTERM, then whatever is left by force."""
        for pid, started in processes.records(self.folder).values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + STOP_SECONDS
            while processes.start_time(pid) == started and time.monotonic() < end:
                time.sleep(0.05)
        if self.folder.exists():
            processes.kill_recorded(self.folder)
