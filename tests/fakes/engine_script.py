"""The commands' side of engine_cli: one call of a fake `docker`, `podman`, `nerdctl` or `kind`.

Many of these run in every test, so what starts them imports next to nothing: state and faults are Python literals, json comes in only
where the real command speaks JSON.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLUSTER, ROLE = "io.x-k8s.kind.cluster", "io.x-k8s.kind.role"
STEPS = (
    "Ensuring node image (kindest/node:fake) 🖼",
    "Preparing nodes 📦",
    "Writing configuration 📜",
    "Starting control-plane 🕹️",
)
LAST_STEPS = ("Installing CNI 🔌", "Installing StorageClass 💾")


class Locked:
    """The state belongs to one process at a time."""

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/state.lock"

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def read(path: str) -> Any:
    """A file of our own, holding one Python literal."""
    with open(path) as file:  # noqa: PTH123 - pathlib costs more than all the rest
        return eval(file.read(), {})  # noqa: S307 - written by `write` below


def write(path: str, value: object) -> None:
    with open(f"{path}.new", "w") as file:  # noqa: PTH123
        file.write(repr(value))
    os.replace(f"{path}.new", path)  # noqa: PTH105 - a test looks without the lock: it must never see half a file


def new_container(state: dict[str, Any], cluster: str, name: str, role: str, **more: Any) -> dict[str, Any]:
    """In the shape of the Docker Engine API's ContainerInspect, as far as anybody looks."""
    number = state["next"]
    state["next"] += 1
    container: dict[str, Any] = {
        "Id": f"{number:064x}",
        "Name": f"/{name}",
        "unready": more.get("unready", False),
        "upsets": more.get("upsets", ""),
        "member": more.get("member", False),  # of its cluster's own API
        "leaving": "",
        "files": {},
        "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": 0},
        "Config": {
            "Labels": {CLUSTER: cluster, ROLE: role},
            "Env": more.get("env", []),
            "Image": more.get("image", "kindest/node:fake"),
        },
        "Mounts": [{"Type": "bind", "Source": "/dev/null", "Destination": place} for place in more.get("mounts", [])],
        "Image": "sha256:" + "1" * 64,
        "HostConfig": {
            "PortBindings": {},
            "NetworkMode": "kind",
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1},
            "Init": False,
            "CgroupnsMode": "private",
        },
        "NetworkSettings": {"Ports": {}, "Networks": {"kind": {"IPAddress": "172.18.0.2", "GlobalIPv6Address": ""}}},
    }
    if volume := more.get("volume"):
        container["Mounts"].append({"Type": "volume", "Name": volume, "Destination": "/var"})
    if role != "worker":
        bound = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(40000 + number)}]}
        container["HostConfig"]["PortBindings"] = bound
    state["containers"].append(container)
    set_status(container, more.get("status", "running"))
    return container


def new_volume(state: dict[str, Any], name: str = "", *, label: str = "", anonymous: bool = False) -> str:
    """In the shape of `podman volume ls --format json`. Returns its name: a random one where none is given."""
    name = name or os.urandom(32).hex()
    labels = {label: "true"} if label else {}
    created = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())
    state["volumes"].append({"Name": name, "Labels": labels, "CreatedAt": created, "anonymous": anonymous})
    return name


def volumes_of(container: dict[str, Any]) -> list[str]:
    return [mount["Name"] for mount in container["Mounts"] if mount["Type"] == "volume"]


def set_status(container: dict[str, Any], status: str) -> None:
    running = status == "running"
    container["State"] |= {"Status": status, "ExitCode": 0 if status in ("running", "paused") else 137}
    container["NetworkSettings"]["Ports"] = container["HostConfig"]["PortBindings"] if running else {}


# --- the commands' side ----------------------------------------------------------------------------------------------------------


def pause() -> None:
    import signal

    signal.pause()


def dumps(value: object) -> str:
    import json

    return json.dumps(value)


class Script:
    """One call of a fake command."""

    def __init__(self, folder: str, program: str, args: list[str]) -> None:
        self.folder, self.program, self.args = folder, program, args
        with Locked(folder), open(f"{folder}/calls.log", "a") as log:  # noqa: PTH123
            log.write(repr([program, *args]) + "\n")

    def run(self) -> int:
        verb = self.args[0]
        fault = self._fault(f"{self.program} {verb}")
        if fault.get("hang"):
            pause()
        time.sleep(fault.get("delay", 0.0))
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
            faults = read(f"{self.folder}/faults")
            fault = faults.get(verb, [])[:1]
            faults[verb] = faults.get(verb, [])[1:]
            write(f"{self.folder}/faults", faults)
        return fault[0] if fault else {}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = read(f"{self.folder}/state")
        return found

    def save(self, state: dict[str, Any]) -> None:
        write(f"{self.folder}/state", state)

    def say(self, text: str) -> None:
        sys.stdout.write(text + "\n")

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    # engine

    def do_info(self, _: list[str]) -> None:
        self.say(dumps(self.state()["info"]))

    def do_ps(self, args: list[str]) -> None:
        with Locked(self.folder):
            found = [one for one in self.state()["containers"] if CLUSTER in one["Config"]["Labels"]]
        if "-q" in args:
            return self.say("\n".join(container["Id"] for container in found))
        for one in found:
            labels = ",".join(f"{key}={value}" for key, value in one["Config"]["Labels"].items())
            self.say(dumps({"ID": one["Id"], "Labels": labels}))
        return None

    def do_inspect(self, args: list[str]) -> int:
        with Locked(self.folder):
            wanted, present = (
                args[2:],
                {container["Id"]: container for container in self.state()["containers"] if not container["unready"]},
            )
        present |= {container["Name"].lstrip("/"): container for container in present.values()}
        for upset in (container["upsets"] for one, container in present.items() if one in wanted and container["upsets"]):
            self.say('[{"Id": "cut off')
            sys.stderr.write(upset)
            return 125
        self.say(dumps([present[one] for one in wanted if one in present]))
        for missing in [one for one in wanted if one not in present]:
            sys.stderr.write(f"Error: No such object: {missing}\n")
        return int(any(one not in present for one in wanted))

    def do_rm(self, args: list[str]) -> None:
        with Locked(self.folder):
            state = self.state()
            gone = [name for one in state["containers"] if one["Id"] in args for name in volumes_of(one)]
            state["containers"] = [one for one in state["containers"] if one["Id"] not in args]
            state["volumes"] = [
                one for one in state["volumes"] if not (one["anonymous"] and "-v" in args and one["Name"] in gone)
            ]
            self.save(state)

    def do_start(self, args: list[str]) -> None:
        self._set(args, "running")

    def do_unpause(self, args: list[str]) -> None:
        self._set(args, "running")

    def do_stop(self, args: list[str]) -> None:
        self._set(args, "exited")

    def do_pause(self, args: list[str]) -> None:
        self._set(args, "paused")

    def do_image(self, args: list[str]) -> int:
        """`image inspect IMAGE` and `image ls`: the images pulled so far."""
        if args[0] == "ls":
            for name in self.state().get("images", []):
                named, _, digest = name.partition("@")
                repository, _, tag = named.partition(":")
                self.say(f"{repository}\t{tag or '<none>'}\t{digest or '<none>'}")
            return 0
        if args[-1] in self.state().get("images", []):
            self.say(self._id(args[-1]) if "{{.Id}}" in args else "[{}]")
            return 0
        sys.stderr.write(f"Error: No such image: {args[-1]}\n")
        return 1

    def do_save(self, args: list[str]) -> None:
        """`save IMAGE`: not an archive, but what `ctr images import` of this script takes."""
        self.say(f"{args[0]} {self._id(args[0])}")

    def _id(self, image: str) -> str:
        """Of an image's content: another one after the test has set another build."""
        import hashlib

        build = self.state().get("builds", {}).get(image, "first")
        return "sha256:" + hashlib.sha256(f"{image} {build}".encode()).hexdigest()

    def do_load(self, args: list[str]) -> None:
        """`load --input FILE`: the names that its manifest.json gives."""
        import json
        import tarfile

        with tarfile.open(args[1]) as tar, Locked(self.folder):
            manifest = tar.extractfile("manifest.json")
            assert manifest is not None
            state = self.state()
            state["images"] = [*state.get("images", []), *(name for one in json.load(manifest) for name in one["RepoTags"])]
            self.save(state)

    def do_pull(self, args: list[str]) -> None:
        with Locked(self.folder):
            state = self.state()
            state["images"] = [*state.get("images", []), args[0]]
            self.save(state)

    def do_volume(self, args: list[str]) -> int:
        """`volume ls --format json`, `volume rm NAME…`: each by itself, with podman's words and codes for what cannot be removed."""
        with Locked(self.folder):
            state = self.state()
            if args[0] == "ls":
                self.say(dumps([{key: one[key] for key in ("Name", "Labels", "CreatedAt")} for one in state["volumes"]]))
                return 0
            known, code = {one["Name"] for one in state["volumes"]}, 0
            for name in args[1:]:
                users = [one["Id"] for one in state["containers"] if name in volumes_of(one)]
                if name not in known:
                    sys.stderr.write(f'Error: no volume with name "{name}" found: no such volume\n')
                elif users:
                    said = f"volume {name} is being used by the following container(s): {', '.join(users)}: volume is being used"
                    sys.stderr.write(f"Error: {said}\n")
                else:
                    state["volumes"] = [one for one in state["volumes"] if one["Name"] != name]
                    continue
                code = max(code, 2 if users else 1)
            self.save(state)
        return code

    def do_logs(self, args: list[str]) -> None:
        if not os.path.exists(self.path("node.log")):  # noqa: PTH110
            return self.say("booting\n[  OK  ] Reached target Multi-User System.")
        with open(self.path("node.log")) as file:  # noqa: PTH123
            return self.say(file.read())

    def do_exec(self, args: list[str]) -> int:
        """`exec ID PROGRAM…`: what the test put into the file exec.out, whatever the program. `ctr` works on the node's image store,
        `kubectl` and `kubeadm` on the cluster, `sh` with a path as its last argument writes that file."""
        if args[0] == "-i" and args[2] == "sh":
            return self._write_file(args[1], args[-1])
        about_nodes = {"nodes", "node", "drain", "wait"}.intersection(args)
        if (args[1] == "kubectl" and about_nodes) or (args[1] == "kubeadm" and args[2] != "certs"):
            words = [word for word in args[2:] if not word.startswith("--")]
            return self._cluster(args[0], f"{args[1]} {words[0]}", words[1:], args)
        if (done := self._in_node(args)) is not None:
            return done
        if "ctr" in args:
            place = args.index("ctr")
            return self._ctr(args[place - 1], args[place + 4 :])
        if os.path.exists(self.path("exec.out")):  # noqa: PTH110
            with open(self.path("exec.out")) as file:  # noqa: PTH123
                self.say(file.read())
        return 0 if "kubeadm" in args or "sh" in args else 1

    def _in_node(self, args: list[str]) -> int | None:
        """What is done in a node to its files below /etc/containerd, and by kubectl to its cluster's ConfigMap; None: something else."""
        words = [word for word in args if word != "-i"]
        node, program, rest = words[0], words[1], words[2:]
        if program not in ("tar", "mv", "rm", "systemctl", "kubectl"):
            return None
        fault = self._fault(f"node {program}")
        if "code" in fault:
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        with Locked(self.folder):
            state = self.state()
            container = next(one for one in state["containers"] if one["Id"] == node)
            files, begin = container.setdefault("files", {}), "/etc/containerd/"
            if program == "tar":
                files |= self._unpacked(sys.stdin.buffer)
            elif program == "mv":
                files[rest[1].removeprefix(begin)] = files.pop(rest[0].removeprefix(begin))
            elif program == "rm":
                gone = [place.removeprefix(begin) for place in rest if place.startswith(begin)]
                below = tuple(f"{place}/" for place in gone if "-r" in rest)
                container["files"] = {
                    name: text for name, text in files.items() if name not in gone and not name.startswith(below)
                }
            elif program == "systemctl":
                container["restarts"] = [*container.get("restarts", []), files.get("config.toml", "")]
            else:
                self._kubectl(state, container["Config"]["Labels"][CLUSTER], rest)
            self.save(state)
        return 0

    def _kubectl(self, state: dict[str, Any], cluster: str, args: list[str]) -> None:
        """get, apply and delete of one ConfigMap."""
        import json

        said = state.setdefault("config_maps", {})
        if "apply" in args:
            said[cluster] = json.load(sys.stdin)
        elif "delete" in args:
            said.pop(cluster, None)
        elif cluster in said:
            self.say(json.dumps(said[cluster]))

    def _unpacked(self, stream: Any) -> dict[str, str]:
        import tarfile

        with tarfile.open(fileobj=stream, mode="r|") as tar:
            return {one.name: content.read().decode() for one in tar if (content := tar.extractfile(one))}

    def _write_file(self, container: str, path: str) -> int:
        with Locked(self.folder):
            state = self.state()
            next(one for one in state["containers"] if one["Id"] == container)["files"][path] = sys.stdin.read()
            self.save(state)
        return 0

    def _cluster(self, container: str, verb: str, words: list[str], args: list[str]) -> int:
        """The few questions and changes that workers join and leave by."""
        fault = self._fault(verb)
        if fault.get("hang"):
            pause()
        if "code" in fault:
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        with Locked(self.folder):
            state = self.state()
            nodes = {one["Name"].lstrip("/"): one for one in state["containers"]}
            if verb == "kubectl get":
                for name, one in nodes.items():
                    if one["member"]:
                        taint = "node-role.kubernetes.io/control-plane" if one.get("tainted") else ""
                        self.say(f"{name}\t{one['leaving']}\t{taint}")
            elif verb == "kubectl patch":
                nodes[words[1]]["leaving"] = "" if "null" in args[-1] else "true"
            elif verb == "kubectl delete" and words[1] in nodes:
                nodes[words[1]]["member"] = False
            elif verb == "kubectl taint":
                nodes[words[1]]["tainted"] = False
            elif verb == "kubeadm token":
                self.say(
                    f"kubeadm join demo:6443 --token abcdef.fedcba9876543210 --discovery-token-ca-cert-hash sha256:{'a' * 64} "
                )
            elif verb == "kubeadm join":
                next(one for one in nodes.values() if one["Id"] == container)["member"] = True
            self.save(state)
        return 0

    def _ctr(self, container: str, args: list[str]) -> int:
        """`ctr -n k8s.io images …` in a node: ls, import, label."""
        fault = self._fault(f"ctr {args[0]}")
        given = self._saved(sys.stdin.buffer.read()) if args[0] == "import" else []
        if "code" in fault:
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        with Locked(self.folder):
            state = self.state()
            store = next(one for one in state["containers"] if one["Id"] == container).setdefault("store", {})
            if args[0] == "import":
                name, _, tag = given[0].rpartition(":")
                store[f"{name if '/' in name else 'docker.io/library/' + name}:{tag}"] = [given[1], ""]
            elif args[0] == "label":
                store[args[1]][1] = args[2]
            self.save(state)
        if args[0] == "ls":
            self.say("REF TYPE DIGEST SIZE PLATFORMS LABELS")
            for ref, (digest, label) in store.items():
                labels = ",".join(filter(None, [label, "io.cri-containerd.image=managed"]))
                self.say(f"{ref} application/vnd.oci.image.manifest.v1+json {digest} 2.1 MiB linux/amd64 {labels}")
        return 0

    def _saved(self, content: bytes) -> list[str]:
        """(name, digest) of what `save` of this script printed, or of an archive."""
        if not content.startswith(b"manifest.json"):
            return content.decode().split()
        import hashlib
        import io
        import json
        import tarfile

        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            manifest = tar.extractfile("manifest.json")
            assert manifest is not None
            return [json.load(manifest)[0]["RepoTags"][0], "sha256:" + hashlib.sha256(content).hexdigest()]

    def do_cp(self, args: list[str]) -> int:
        """`cp ID:PATH -`: the node's file that was written or, of a control plane, that the test put into `files`; else the tar stream
        that the test put into admin.tar."""
        import io
        import tarfile

        node, _, path = args[0].partition(":")
        if path == "/etc/containerd":
            return self._packed(node)
        container = next((found for found in self.state()["containers"] if found["Id"] == node), None)
        if container is not None and not path.startswith("/etc/kubernetes/"):  # no image has what kubeadm writes there
            given = self.state().get("files", {}) if container["Config"]["Labels"][ROLE] == "control-plane" else {}
            content = {**given, **container["files"]}.get(path, "as the image has it").encode()
            with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
                member = tarfile.TarInfo(path.rpartition("/")[2])
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            return 0
        if not os.path.exists(self.path("admin.tar")):  # noqa: PTH110
            sys.stderr.write("Error: Could not find the file /etc/kubernetes/admin.conf in container\n")
            return 1
        with open(self.path("admin.tar"), "rb") as file:  # noqa: PTH123
            sys.stdout.buffer.write(file.read())
        return 0

    def _packed(self, node: str) -> int:
        import io
        import tarfile

        with Locked(self.folder):
            container = next(one for one in self.state()["containers"] if one["Id"] == node)
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
            for name, text in {"config.toml": "version = 2\n", **container.get("files", {})}.items():
                member = tarfile.TarInfo(f"containerd/{name}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return 0

    def do_network(self, args: list[str]) -> None:
        """`network connect NETWORK CONTAINER`."""
        with Locked(self.folder):
            state = self.state()
            for one in state["containers"]:
                if one["Id"] == args[2]:
                    one["NetworkSettings"]["Networks"][args[1]] = {"IPAddress": "172.18.0.9", "GlobalIPv6Address": ""}
            self.save(state)

    def do_events(self, _: list[str]) -> None:
        """Lines of events.log as they come; ends when the file `events.stop` appears."""
        with open(self.path("events.log"), "a+") as lines:  # noqa: PTH123
            lines.seek(0)
            while not os.path.exists(self.path("events.stop")):  # noqa: PTH110
                sys.stdout.write(lines.readline())
                sys.stdout.flush()
                time.sleep(0.01)

    def _run_node(self, args: list[str]) -> int:
        values: dict[str, list[str]] = {}
        for option, value in zip(args, args[1:], strict=False):  # noqa: RUF007 - itertools costs more than all the rest
            values.setdefault(option, []).append(value)
        name, labels = values["--name"][0], dict(label.split("=") for label in values["--label"])
        with Locked(self.folder):
            state = self.state()
            if any(one["Name"] == f"/{name}" for one in state["containers"]):
                sys.stderr.write(
                    f'docker: Error response from daemon: Conflict. The container name "/{name}" is already in use.\n'
                )
                return 125
            mounts = [place.split(":")[1] for place in values["--volume"] if place.startswith("/dev/null:")]
            volume = new_volume(state, anonymous=True)
            env = sys.stdin.read().splitlines() if "--env-file" in values else []
            new_container(
                state, labels[CLUSTER], name, labels[ROLE], mounts=mounts, image=args[-1], env=env, volume=volume, member=False
            )
            self.save(state)
        return 0

    def do_run(self, args: list[str]) -> int:
        """`run -d … IMAGE`: a container with name, label and network. `run SECONDS CLUSTER NAME MOUNT`: one that shows up late. `run
        --name … IMAGE`: a node as kind makes them."""
        if args[0] == "-d":
            return self._run_plain(args)
        if args[0].startswith("--"):
            return self._run_node(args)
        time.sleep(float(args[0]))
        with Locked(self.folder):
            state = self.state()
            new_container(state, args[1], args[2], "control-plane", mounts=[args[3]], status="created")
            self.save(state)
        return 0

    def _run_plain(self, args: list[str]) -> int:
        given = {name: args[args.index(f"--{name}") + 1] for name in ("name", "label", "network", "publish")}
        fault = self._fault("start container")
        with Locked(self.folder):
            state = self.state()
            if any(one["Name"] == f"/{given['name']}" for one in state["containers"]):
                sys.stderr.write(f'docker: The container name "/{given["name"]}" is already in use.\n')
                return 125
            container = new_container(state, "", given["name"], "worker", image=args[-1])
            label, _, value = given["label"].partition("=")
            container["Config"]["Labels"] = {label: value}
            container["NetworkSettings"]["Networks"] = {given["network"]: {"IPAddress": "172.18.0.9", "GlobalIPv6Address": ""}}
            if fault:
                set_status(container, "created")
                sys.stderr.write(fault["stderr"])
            self.save(state)
        return 125 if fault else 0

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
        return self._create(fault)

    def _create(self, fault: dict[str, Any]) -> int:
        if fault.get("ignore"):
            return 0
        text = sys.stdin.read()
        with open(self.path("last-config.yaml"), "w") as file:  # noqa: PTH123
            file.write(text)
        write(self.path("last-env"), dict(os.environ))
        name = self.args[self.args.index("--name") + 1]
        mount = next(line.split()[-1] for line in text.splitlines() if "/kind/owner/" in line)
        roles = [line.split()[-1] for line in text.splitlines() if "role: " in line]
        return self._make(name, roles, mount, fault)

    def _make(self, name: str, roles: list[str], mount: str, fault: dict[str, Any]) -> int:
        if "spawn" in fault:
            script = self.path("bin/docker")
            if os.fork() == 0:
                os.execv(script, [script, "run", str(fault["spawn"]), name, f"{name}-control-plane", mount])  # noqa: S606
        self._say(STEPS[:2])
        for index, role in enumerate(roles[: fault.get("made", len(roles))]):
            number = "" if index == 0 or roles[index - 1] != role else str(index)
            self._add(name, f"{name}-{role}{number}", role, mounts=[mount], volume=True, member=True)
        if fault.get("volume_only"):
            with Locked(self.folder):
                state = self.state()
                new_volume(state, label=f"{name}-control-plane")
                self.save(state)
        if roles.count("control-plane") > 1:
            env = [f"NO_PROXY={os.environ.get('NO_PROXY', '')}"]
            self._add(name, f"{name}-external-load-balancer", "external-load-balancer", env=env)
        if intruder := fault.get("intruder"):
            self._add(name, f"{name}-{intruder}", intruder)
        if fault.get("hang_after_nodes"):
            pause()
        if "code" in fault and not fault.get("late"):
            sys.stderr.write(fault.get("stderr", ""))
            return int(fault["code"])
        self._say([*STEPS[2:], *LAST_STEPS, *(["Joining worker nodes 🚜"] if "worker" in roles else [])])
        sys.stderr.write(fault.get("stderr", ""))
        return int(fault.get("code", 0))

    def _add(self, cluster: str, name: str, role: str, **more: Any) -> None:
        with Locked(self.folder):
            state = self.state()
            if more.pop("volume", False):
                # kind makes podman's before the container, by name and with the node's name as label.
                named = os.environ["KIND_EXPERIMENTAL_PROVIDER"] == "podman"
                more["volume"] = new_volume(state, label=name if named else "", anonymous=not named)
            new_container(state, cluster, name, role, **more)
            self.save(state)

    def _say(self, steps: Any) -> None:
        for step in steps:
            sys.stderr.write(f" • {step}  ...\n ✓ {step}\n")
            sys.stderr.flush()


def main() -> None:
    folder, _, program = sys.argv[0].rpartition("/bin/")
    sys.exit(Script(folder, program, sys.argv[1:]).run())
