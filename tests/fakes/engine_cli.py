"""A container engine and a kind that are small scripts: enough of `docker` and `kind` to run the kind runtime against, with faults.

`FakeBinaries(folder)` writes the two commands into `folder/bin`. They share `folder/state.json` (the containers) and obey
`folder/faults.json`: for "docker ps", "kind create" and so on a list of faults, used up one by one. The commands
are two lines that import this module, so: standard library only, and little of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

CLUSTER, ROLE = "io.x-k8s.kind.cluster", "io.x-k8s.kind.role"
STEPS = (
    "Ensuring node image (kindest/node:fake) 🖼",
    "Preparing nodes 📦",
    "Writing configuration 📜",
    "Starting control-plane 🕹️",
)
LAST_STEPS = ("Installing CNI 🔌", "Installing StorageClass 💾")
ENGINE_INFO = {"ServerVersion": "99.1", "CgroupVersion": "2", "SecurityOptions": ["name=seccomp"], "DockerRootDir": "/"}

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
        self._write("state.json", {"containers": [], "volumes": [], "kind": kind, "info": ENGINE_INFO, "next": 1})
        self._write("faults.json", {})
        (folder / "calls.log").touch()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.folder)}

    def fault(self, verb: str, **how: Any) -> None:
        """The next call of "docker ps", "kind create"… : `hang`, `code`, `stdout`, `stderr`, or for create `made` (containers made),
        `ignore` (do nothing and claim success), `spawn` (start an engine command that makes a container after so many seconds),
        `intruder` (role of a foreign container)."""
        with self._locked():
            faults = self._read("faults.json")
            faults.setdefault(verb, []).append(how)
            self._write("faults.json", faults)

    def calls(self, prefix: str = "") -> list[list[str]]:
        lines = [json.loads(line) for line in (self.folder / "calls.log").read_text().splitlines()]
        return [line for line in lines if " ".join(line).startswith(prefix)]

    @property
    def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._read("state.json")["containers"]
        return found

    def names(self) -> list[str]:
        return sorted(container["Name"].lstrip("/") for container in self.containers)

    def add(self, cluster: str, role: str = "control-plane", **more: Any) -> dict[str, Any]:
        """A container, as if somebody else had made it."""
        with self._locked():
            state = self._read("state.json")
            container = new_container(state, cluster, f"{cluster}-{role}", role, **more)
            self._write("state.json", state)
        return container

    def change(self, name: str, status: str) -> None:
        with self._locked():
            state = self._read("state.json")
            for container in state["containers"]:
                if container["Name"] == f"/{name}":
                    set_status(container, status)
            self._write("state.json", state)

    def make_ready(self) -> None:
        """Containers made with `unready=True` (listed, but not to be inspected yet) become ordinary."""
        with self._locked():
            state = self._read("state.json")
            for container in state["containers"]:
                container["unready"] = False
            self._write("state.json", state)

    def edit(self, **values: Any) -> None:
        with self._locked():
            self._write("state.json", self._read("state.json") | values)

    def _install(self, name: str) -> None:
        path = self.bin / name
        imports = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.fakes import engine_cli\n"
        path.write_text(f"#!{sys.executable} -IS\n{imports}engine_cli.main()\n")
        path.chmod(0o755)

    def _read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def _write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value))

    def _locked(self) -> Locked:
        return Locked(self.folder)


class Locked:
    """The state belongs to one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.lock"

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def new_container(state: dict[str, Any], cluster: str, name: str, role: str, **more: Any) -> dict[str, Any]:
    """In the shape of the Docker Engine API's ContainerInspect, as far as anybody looks."""
    number = state["next"]
    state["next"] += 1
    container: dict[str, Any] = {
        "Id": f"{number:064x}",
        "Name": f"/{name}",
        "unready": more.get("unready", False),
        "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": 0},
        "Config": {
            "Labels": {CLUSTER: cluster, ROLE: role},
            "Env": more.get("env", []),
            "Image": more.get("image", "kindest/node:fake"),
        },
        "Mounts": [{"Type": "bind", "Source": "/dev/null", "Destination": place} for place in more.get("mounts", [])],
        "HostConfig": {"PortBindings": {}},
        "NetworkSettings": {"Ports": {}, "Networks": {"kind": {"IPAddress": "172.18.0.2", "GlobalIPv6Address": ""}}},
    }
    if role != "worker":
        bound = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(40000 + number)}]}
        container["HostConfig"]["PortBindings"] = bound
    state["containers"].append(container)
    set_status(container, more.get("status", "running"))
    return container


def set_status(container: dict[str, Any], status: str) -> None:
    running = status == "running"
    container["State"] |= {"Status": status, "ExitCode": 0 if status in ("running", "paused") else 137}
    container["NetworkSettings"]["Ports"] = container["HostConfig"]["PortBindings"] if running else {}


# --- the commands' side ----------------------------------------------------------------------------------------------------------


class Script:
    """One call of a fake command."""

    def __init__(self, folder: Path, program: str, args: list[str]) -> None:
        self.folder, self.program, self.args = folder, program, args
        with Locked(folder), (folder / "calls.log").open("a") as log:
            log.write(json.dumps([program, *args]) + "\n")

    def run(self) -> int:
        verb = self.args[0]
        fault = self._fault(f"{self.program} {verb}")
        if fault.get("hang"):
            signal.pause()
        sys.stdout.write(fault.get("stdout", ""))
        if "code" in fault and "made" not in fault:
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        if "stdout" in fault:
            return 0
        if self.program == "kind":
            return self._kind(verb, fault)
        return int(getattr(self, f"do_{verb}")(self.args[1:]) or 0)

    def _fault(self, verb: str) -> dict[str, Any]:
        with Locked(self.folder):
            faults = json.loads((self.folder / "faults.json").read_text())
            fault = faults.get(verb, [])[:1]
            faults[verb] = faults.get(verb, [])[1:]
            (self.folder / "faults.json").write_text(json.dumps(faults))
        return fault[0] if fault else {}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def save(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

    def say(self, text: str) -> None:
        sys.stdout.write(text + "\n")

    # engine

    def do_info(self, _: list[str]) -> None:
        self.say(json.dumps(self.state()["info"]))

    def do_ps(self, args: list[str]) -> None:
        with Locked(self.folder):
            found = self.state()["containers"]
        if "-q" in args:
            return self.say("\n".join(container["Id"] for container in found))
        for one in found:
            labels = ",".join(f"{key}={value}" for key, value in one["Config"]["Labels"].items())
            self.say(json.dumps({"ID": one["Id"], "Labels": labels}))
        return None

    def do_inspect(self, args: list[str]) -> int:
        with Locked(self.folder):
            wanted, present = (
                args[2:],
                {container["Id"]: container for container in self.state()["containers"] if not container["unready"]},
            )
        self.say(json.dumps([present[one] for one in wanted if one in present]))
        for missing in [one for one in wanted if one not in present]:
            sys.stderr.write(f"Error: No such object: {missing}\n")
        return int(any(one not in present for one in wanted))

    def do_rm(self, args: list[str]) -> None:
        with Locked(self.folder):
            state = self.state()
            state["containers"] = [one for one in state["containers"] if one["Id"] not in args]
            self.save(state)

    def do_start(self, args: list[str]) -> None:
        self._set(args, "running")

    def do_unpause(self, args: list[str]) -> None:
        self._set(args, "running")

    def do_volume(self, _: list[str]) -> None: ...

    def do_logs(self, args: list[str]) -> None:
        self.say((self.folder / "node.log").read_text() if (self.folder / "node.log").exists() else "booting")

    def do_cp(self, args: list[str]) -> int:
        """`cp ID:PATH -`: the tar stream that the test put into admin.tar."""
        archive = self.folder / "admin.tar"
        if not archive.exists():
            sys.stderr.write("Error: Could not find the file /etc/kubernetes/admin.conf in container\n")
            return 1
        sys.stdout.buffer.write(archive.read_bytes())
        return 0

    def do_events(self, _: list[str]) -> None:
        """Lines of events.log as they come; ends when the file `events.stop` appears."""
        path = self.folder / "events.log"
        path.touch()
        with path.open() as lines:
            while not (self.folder / "events.stop").exists():
                sys.stdout.write(lines.readline())
                sys.stdout.flush()
                time.sleep(0.01)

    def do_run(self, args: list[str]) -> None:
        """`run SECONDS CLUSTER NAME MOUNT`: a container that shows up late."""
        time.sleep(float(args[0]))
        with Locked(self.folder):
            state = self.state()
            new_container(state, args[1], args[2], "control-plane", mounts=[args[3]], status="created")
            self.save(state)

    def _set(self, ids: list[str], status: str) -> None:
        with Locked(self.folder):
            state = self.state()
            for container in state["containers"]:
                if container["Id"] in ids:
                    set_status(container, status)
            self.save(state)

    # kind

    def _kind(self, verb: str, fault: dict[str, Any]) -> int:
        if verb == "version":
            self.say(f"kind {self.state()['kind']} go1.99 linux/amd64")
            return 0
        if verb == "export":
            Path(self.args[2]).mkdir(parents=True, exist_ok=True)
            (Path(self.args[2]) / "docker-info.txt").write_text("HTTP Proxy: http://user:secret@proxy\nName: x\n")
            return 0
        return self._create(fault)

    def _create(self, fault: dict[str, Any]) -> int:
        if fault.get("ignore"):
            return 0
        text = sys.stdin.read()
        (self.folder / "last-config.yaml").write_text(text)
        (self.folder / "last-env.json").write_text(json.dumps(dict(os.environ)))
        name = self.args[self.args.index("--name") + 1]
        mount = next(line.split()[-1] for line in text.splitlines() if "/kind/owner/" in line)
        roles = [line.split()[-1] for line in text.splitlines() if "role: " in line]
        return self._make(name, roles, mount, fault)

    def _make(self, name: str, roles: list[str], mount: str, fault: dict[str, Any]) -> int:
        if "spawn" in fault:
            engine = next(entry.name for entry in (self.folder / "bin").iterdir() if entry.name != "kind")
            script = str(self.folder / "bin" / engine)
            if os.fork() == 0:
                os.execv(script, [script, "run", str(fault["spawn"]), name, f"{name}-control-plane", mount])  # noqa: S606
        self._say(STEPS[:2])
        for index, role in enumerate(roles[: fault.get("made", len(roles))]):
            number = "" if index == 0 or roles[index - 1] != role else str(index)
            self._add(name, f"{name}-{role}{number}", role, mounts=[mount])
        if roles.count("control-plane") > 1:
            env = [f"NO_PROXY={os.environ.get('NO_PROXY', '')}"]
            self._add(name, f"{name}-external-load-balancer", "external-load-balancer", env=env)
        if intruder := fault.get("intruder"):
            self._add(name, f"{name}-{intruder}", intruder)
        if fault.get("hang_after_nodes"):
            signal.pause()
        if "code" in fault and not fault.get("late"):
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        self._say([*STEPS[2:], *LAST_STEPS, *(["Joining worker nodes 🚜"] if "worker" in roles else [])])
        sys.stderr.write(fault.get("stderr", ""))
        return int(fault.get("code", 0))

    def _add(self, cluster: str, name: str, role: str, **more: Any) -> None:
        with Locked(self.folder):
            state = self.state()
            new_container(state, cluster, name, role, **more)
            self.save(state)

    def _say(self, steps: Any) -> None:
        for step in steps:
            sys.stderr.write(f" • {step}  ...\n ✓ {step}\n")
            sys.stderr.flush()


def main() -> None:
    here = Path(sys.argv[0])
    sys.exit(Script(here.parent.parent, here.name, sys.argv[1:]).run())
