"""A container engine and a kind that are small scripts: enough of `docker` and `kind` to run the kind runtime against, with faults.

`FakeBinaries(folder)` writes the two commands into `folder/bin`. They share `folder/state` (the containers) and obey
`folder/faults`: for "docker ps", "kind create" and so on a list of faults, used up one by one. What they do
is in engine_script.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

from tests.fakes import engine_script

ENGINE_INFO = {
    "ID": "FAKE:0001",
    "Name": "fake-host",
    "ServerVersion": "99.1",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp"],
    "DockerRootDir": "/",
}

ROOT = Path(__file__).resolve().parent.parent.parent


class FakeBinaries:
    """The test's side: install, look, and set faults."""

    def __init__(self, folder: Path, *, kind: str = "v0.30.0", engine: str = "docker") -> None:
        self.folder = folder
        self.engine = engine
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for name in (engine, "kind"):
            self._install(name)
        self._write("state", {"containers": [], "volumes": [], "kind": kind, "info": ENGINE_INFO, "next": 1})
        self._write("faults", {})
        (folder / "calls.log").touch()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.folder)}

    def fault(self, verb: str, **how: Any) -> None:
        """The next call of "docker ps", "kind create"… : `hang`, `delay` (seconds), `code`, `stdout`, `stderr`, or for create `made`
        (containers made), `ignore` (do nothing and claim success), `spawn` (start an engine command that makes a container after so
        many seconds), `volume_only` (a volume for a container that was not made), `intruder` (role of a foreign container)."""
        with self._locked():
            faults = self._read("faults")
            faults.setdefault(verb, []).append(how)
            self._write("faults", faults)

    def calls(self, prefix: str = "") -> list[list[str]]:
        lines = [ast.literal_eval(line) for line in (self.folder / "calls.log").read_text().splitlines()]
        return [line for line in lines if " ".join(line).startswith(prefix)]

    @property
    def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._read("state")["containers"]
        return found

    @property
    def state(self) -> dict[str, Any]:
        """All of it."""
        found: dict[str, Any] = self._read("state")
        return found

    @property
    def volumes(self) -> list[str]:
        with self._locked():
            return sorted(volume["Name"] for volume in self._read("state")["volumes"])

    def add_volume(self, name: str, label: str = "", *, anonymous: bool = False) -> None:
        """A named volume, as if somebody else had made it."""
        with self._locked():
            state = self._read("state")
            engine_script.new_volume(state, name, label=label, anonymous=anonymous)
            self._write("state", state)

    def names(self) -> list[str]:
        return sorted(container["Name"].lstrip("/") for container in self.containers)

    def add(self, cluster: str, role: str = "control-plane", **more: Any) -> dict[str, Any]:
        """A container, as if somebody else had made it."""
        with self._locked():
            state = self._read("state")
            container = engine_script.new_container(state, cluster, f"{cluster}-{role}", role, **more)
            self._write("state", state)
        return container

    def change(self, name: str, status: str) -> None:
        with self._locked():
            state = self._read("state")
            for container in state["containers"]:
                if container["Name"] == f"/{name}":
                    engine_script.set_status(container, status)
            self._write("state", state)

    def make_ready(self) -> None:
        """Containers made with `unready=True` (listed, but not to be inspected yet) become ordinary."""
        with self._locked():
            state = self._read("state")
            for container in state["containers"]:
                container["unready"] = False
            self._write("state", state)

    def edit(self, **values: Any) -> None:
        with self._locked():
            self._write("state", self._read("state") | values)

    def _install(self, name: str) -> None:
        path = self.bin / name
        imports = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.fakes import engine_script\n"
        path.write_text(f"#!{sys.executable} -IS\n{imports}engine_script.main()\n")
        path.chmod(0o755)

    def _read(self, name: str) -> Any:
        return engine_script.read(str(self.folder / name))

    def _write(self, name: str, value: Any) -> None:
        engine_script.write(str(self.folder / name), value)

    def _locked(self) -> engine_script.Locked:
        return engine_script.Locked(str(self.folder))
